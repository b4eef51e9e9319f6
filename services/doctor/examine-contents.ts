import type { ChangeRow } from "../core/change.ts";
import type { Store } from "../store/port.ts";
import { type ServerPresence, serverGoneMs } from "../store/subscription-port.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

/** A server that tells of itself, but hasn't seen an entry that is so old, lags, in ms. */
const lagMsMax = 5_000;
/** An entry of the log may be so far in this machine's future, in ms. */
const futureMsMax = 5_000;

type Contents = Pick<Store, "head" | "changesAfter" | "liveRootKeyIds" | "subscriptions">;

/** Looks at the log, the servers that follow it, and whether somebody can still administer the store. */
export async function examineContents(store: Contents, nowMs: number): Promise<readonly Finding[]> {
  return [await logFinding(store, nowMs), ...(await serverFindings(store, nowMs)), await rootFinding(store, nowMs)];
}

async function logFinding(store: Contents, nowMs: number): Promise<Finding> {
  const { revision, storeEpoch } = await store.head();
  const [newest] = revision === 0n ? [] : await store.changesAfter(revision - 1n, 1);
  const aheadMs = (newest?.commitTimeMs ?? 0) - nowMs;
  if (aheadMs > futureMsMax) {
    return warn(
      "log",
      `its newest entry, revision ${revision}, is ${Math.round(aheadMs / 1000)} s in the future`,
      "the clock of a server that changes the store is ahead: let NTP set it",
    );
  }
  return ok("log", `it stands at revision ${revision}, store epoch ${storeEpoch}`);
}

async function serverFindings(store: Contents, nowMs: number): Promise<readonly Finding[]> {
  const servers = await store.subscriptions.listServers();
  const living = servers.filter(({ seenTimeMs }) => nowMs - seenTimeMs < serverGoneMs);
  const lost = servers.length - living.length;
  const gone = lost === 0 ? "" : `; ${lost} ended without saying so within the last day`;
  const behind = await Promise.all(living.map(async (server) => lagFinding(server, await nextEntry(store, server))));
  const lagging = behind.flatMap((finding) => finding ?? []);
  return [
    ok("servers", `${living.length} of them ${living.length === 1 ? "follows" : "follow"} the log${gone}`),
    ...lagging,
  ];
}

async function nextEntry(store: Contents, { revision }: ServerPresence): Promise<ChangeRow | undefined> {
  const [next] = await store.changesAfter(revision, 1);
  return next;
}

/** Of the time when the server last told of itself, so that what was committed since doesn't count. */
function lagFinding(server: ServerPresence, next: ChangeRow | undefined): Finding | undefined {
  const lagMs = server.seenTimeMs - (next?.commitTimeMs ?? Number.POSITIVE_INFINITY);
  if (lagMs < lagMsMax) return undefined;
  return fail(
    "server_lag",
    `server ${server.id} stands at revision ${server.revision}, ${Math.round(lagMs / 1000)} s behind the log`,
    "see its log for what keeps it from reading the store, and /readyz; restart it if it doesn't come back",
  );
}

async function rootFinding(store: Contents, nowMs: number): Promise<Finding> {
  const { length } = await store.liveRootKeyIds(nowMs);
  if (length > 0) return ok("root_credential", `${length} ${length === 1 ? "lives" : "live"}`);
  return fail(
    "root_credential",
    "no live key has the scope ichor:* in tenant default",
    'nobody can administer this store: make another by "ichor root-credential new"',
  );
}
