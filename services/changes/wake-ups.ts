import type { ClientConfig } from "pg";
import type { Store } from "../store/port.ts";
import type { SubscriptionLedger } from "./subscription-ledger.ts";
import type { Tail } from "./tail.ts";
import type { OpenWakeChannel } from "./wake-channel.ts";

export interface WakeUpsDeps {
  readonly store: Pick<Store, "onCommit">;
  readonly tail: Pick<Tail, "wake" | "revision" | "reached">;
  readonly ledger: Pick<SubscriptionLedger, "onWant" | "look">;
  /** Which server this is among those of the store. */
  readonly instanceId: string;
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
}

export interface WakeUps {
  /** Hints so far; `connected`: whether any can be heard now, undefined if no way for them is configured. */
  readonly tally: { readonly sent: number; readonly heard: number; readonly connected: boolean | undefined };
  close(): Promise<void>;
}

/** What servers can wake each other by. */
export interface WakeWays {
  readonly redisUrl: string | undefined;
  /** How to connect to the PostgreSQL server that holds the store. */
  readonly notify: ClientConfig | undefined;
  /** Joins the other processes of this server to the way above; undefined: it is one process. */
  readonly relay: ((outer: OpenWakeChannel | undefined) => OpenWakeChannel) | undefined;
}

/**
 * Uses Redis where one is named, else PostgreSQL's notifications where that is the store, else nothing: then the log's
 * polling alone makes changes known. Doesn't wait for the channel to be there.
 */
export async function openWakeUps(ways: WakeWays, deps: WakeUpsDeps): Promise<WakeUps> {
  const [name, open] = await channelOf(ways);
  if (ways.relay !== undefined) return startWakeUps(ways.relay(open), name, deps);
  return open === undefined ? noWakeUps : startWakeUps(open, name, deps);
}

const noWakeUps: WakeUps = { tally: { sent: 0, heard: 0, connected: undefined }, close: async () => {} };

/** Loads the client that is needed, if any. */
async function channelOf({ redisUrl, notify }: WakeWays): Promise<[name: string, open: OpenWakeChannel | undefined]> {
  if (redisUrl !== undefined) {
    const { redisChannel } = await import("./redis-channel.ts");
    return ["Redis", (listener) => redisChannel(redisUrl, listener)];
  }
  if (notify !== undefined) {
    const { notifyChannel } = await import("./notify-channel.ts");
    return ["NOTIFY", (listener) => notifyChannel(notify, listener)];
  }
  return ["IPC", undefined];
}

/** A third word of messages: the sender waits until the revision is known and acknowledged everywhere. */
const wantedWord = "wanted";
/** Longest that a server that is asked for a revision looks out for it, in ms; then its ledger tells how far it is. */
const reachMsMax = 1_000;

/**
 * Tells the channel of this server's commits and of what it waits for, and wakes the log's reader and the ledger by those
 * of others. Only hints: see `Tail`.
 */
export function startWakeUps(
  open: OpenWakeChannel,
  name: string,
  { store, tail, ledger, instanceId, log }: WakeUpsDeps,
): WakeUps {
  const tally = { sent: 0, heard: 0, connected: false };
  const channel = open({
    heard(message) {
      const [sender, revision = "", word] = message.split(" ");
      if (sender === instanceId || !/^\d{1,19}$/.test(revision)) return;
      tally.heard += 1;
      if (word === wantedWord) void tellWhenReached(BigInt(revision));
      else if (BigInt(revision) > tail.revision) tail.wake();
    },
    connected() {
      tally.connected = true;
      log.info({ channel: name }, "wake-ups work");
      tail.wake();
    },
    lost(err) {
      tally.connected = false;
      log.warn({ channel: name, err }, "wake-ups are lost; the log is polled meanwhile");
    },
  });
  const tellWhenReached = async (revision: bigint) => {
    await tail.reached(revision, AbortSignal.timeout(reachMsMax)).catch(() => {});
    ledger.look();
  };
  ledger.onWant((revision) => void channel.publish(`${instanceId} ${revision} ${wantedWord}`).catch(() => {}));
  let newest: bigint | undefined;
  let publishing = false;
  const publish = async () => {
    publishing = true;
    while (newest !== undefined) {
      const revision = newest;
      newest = undefined;
      // What the channel lost, it tells itself.
      await channel.publish(`${instanceId} ${revision}`).then(
        () => void tally.sent++,
        () => {},
      );
    }
    publishing = false;
  };
  // Nobody waits for it: while one is on its way, later revisions are told by one more.
  store.onCommit((revision) => {
    newest = revision;
    if (!publishing) void publish();
  });
  return { tally, close: () => channel.close() };
}
