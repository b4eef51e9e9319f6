import type { ParentLog } from "../rpc/log.ts";
import type { VerifierEvent } from "../verifier/options.ts";

/** Writes what happens to the side-car's knowledge to the log; each change that is applied would be too much. */
export function tellEvent(event: VerifierEvent, log: ParentLog): void {
  switch (event.kind) {
    case "connected":
      log.info({ subscriptionId: event.subscriptionId }, "follows the server");
      break;
    case "disconnected":
      log.warn({ why: messageOf(event.error), retryInMs: Math.round(event.retryInMs) }, "doesn't follow the server");
      break;
    case "resync":
      log.warn({ feed: event.feed, why: messageOf(event.error) }, "begins a feed anew");
      break;
    case "refused":
      log.error({ feed: event.feed, why: messageOf(event.error) }, "refuses what it was told");
      break;
    case "snapshot_file_ignored":
      log.warn({ why: event.why }, "the snapshot file is ignored");
      break;
    case "snapshot_file_failed":
      log.warn({ why: messageOf(event.error) }, "the snapshot file can't be written");
      break;
  }
}

function messageOf(error: unknown): string | undefined {
  return error instanceof Error ? error.message : undefined;
}
