import { readFileSync } from "node:fs";
import { toJson } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { Command } from "commander";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { AuditEventSchema, type WatchEventsResponse } from "../../gen/ichor/v1/audit_pb.ts";
import { replaceFileDurably } from "../durable-file.ts";
import { serviceClient } from "./client.ts";
import { type CliIo, CommandEnd, exitStatus } from "./io.ts";
import { waitingClock } from "./waiting-clock.ts";

/** Longest wait before it connects again, in ms. */
const reconnectMsMax = 15_000;

/** Refusals: asking again gives the same. */
const final: ReadonlySet<Code> = new Set([
  Code.Unauthenticated,
  Code.PermissionDenied,
  Code.InvalidArgument,
  Code.Unimplemented,
]);

/** Up to where events were told. */
interface Place {
  readonly storeEpoch: string;
  readonly revision: bigint;
}

/** Adds `audit watch`. */
export function addAuditWatch(audit: Command, _program: Command, io: CliIo): void {
  audit
    .command("watch")
    .description(
      "tell each event as it comes, as a line of JSON, until SIGINT or SIGTERM; goes on where it was cut off",
    )
    .option("--after <revision>", "begin with events of later revisions (default: from now on)", BigInt)
    .option("--action <action...>", "only these, as ApiKeyExpiring", [])
    .option("--state-file <file>", "remembers how far it has come, so that the next run goes on there")
    .action(async ({ after, action, stateFile }) => {
      await watch(io, { after, actions: action, stateFile });
    });
}

interface WatchOptions {
  readonly after: bigint | undefined;
  readonly actions: string[];
  readonly stateFile: string | undefined;
}

/** Follows until it is told to stop. Rejects with the server's refusal. */
async function watch(io: CliIo, { after, actions, stateFile }: WatchOptions): Promise<void> {
  const client = serviceClient(AdminService, io);
  let place = stateFile === undefined ? undefined : readPlace(stateFile);
  const keep = () => {
    if (stateFile !== undefined && place !== undefined) writePlace(stateFile, place);
  };
  for (let failures = 0; !io.stop.aborted; failures++) {
    let retryMs = Math.random() * Math.min(200 * 2 ** Math.min(failures, 10), reconnectMsMax);
    try {
      const from = place?.revision ?? after;
      const start = {
        ...(from !== undefined && { afterRevision: from }),
        storeEpoch: place?.storeEpoch ?? "",
        actions,
      };
      for await (const message of client.watchEvents(start, { timeoutMs: 0, signal: io.stop })) {
        failures = 0;
        place = tell(io, message, place);
        if (message.event.case === "progress") keep();
        if (message.event.case === "drain") retryMs = Number(message.event.value.retryAfter?.seconds ?? 1n) * 1000;
      }
    } catch (error) {
      if (io.stop.aborted) break;
      if (!(error instanceof ConnectError) || final.has(error.code)) throw error;
      io.stderr.write(`${error.message}; it is tried again\n`);
    }
    if (!io.stop.aborted) await wait(io, retryMs);
  }
  keep();
}

/** Writes an event, and says how far the stream has come. */
function tell({ stdout, stderr }: CliIo, { event }: WatchEventsResponse, place: Place | undefined): Place | undefined {
  switch (event.case) {
    case "subscribed":
      return { storeEpoch: event.value.storeEpoch, revision: event.value.afterRevision };
    case "auditEvent":
      stdout.write(`${JSON.stringify(toJson(AuditEventSchema, event.value))}\n`);
      return place && { ...place, revision: event.value.revision };
    case "progress":
      return place && { ...place, revision: event.value.revision };
    case "resyncRequired":
      stderr.write(
        `the store's history is another one than before: going on from its revision ${event.value.revision}\n`,
      );
      return { storeEpoch: event.value.storeEpoch, revision: event.value.revision };
    default:
      return place;
  }
}

function readPlace(path: string): Place | undefined {
  try {
    const { storeEpoch, revision } = JSON.parse(readFileSync(path, "utf8"));
    return { storeEpoch: String(storeEpoch), revision: BigInt(revision) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new CommandEnd(exitStatus.usage, `${path} is no state of a watch`);
  }
}

function writePlace(path: string, { storeEpoch, revision }: Place): void {
  replaceFileDurably(path, `${JSON.stringify({ storeEpoch, revision: String(revision) })}\n`);
}

function wait({ stop }: CliIo, spanMs: number): Promise<void> {
  return new Promise((resolve) => {
    const cancel = waitingClock.schedule(resolve, spanMs);
    const end = () => {
      cancel();
      resolve();
    };
    stop.addEventListener("abort", end, { once: true });
  });
}
