import { Code, ConnectError } from "@connectrpc/connect";
import type { Command } from "commander";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { FeedTrust, type Identity } from "../verifier/feed-trust.ts";
import { Follower } from "../verifier/follower.ts";
import type { VerifierEvent } from "../verifier/options.ts";
import { FeedReplica } from "../verifier/replica.ts";
import { audienceFeed, publicFeed } from "../wire/key-set.ts";
import { serviceClient } from "./client.ts";
import { feedKeyOption, issuerOption, trustOptions } from "./feed-key-option.ts";
import type { CliIo } from "./io.ts";
import { waitingClock } from "./waiting-clock.ts";
import { feedEvent, lineOf, type WatchEvent } from "./watch-events.ts";

/**
 * From which age on it trusts nothing that it knows, in seconds: it decides nothing by it, and a revocation that waits for
 * everyone shall wait for it no longer than it must.
 */
const maxStalenessSeconds = 1;

/** Refusals: asking again gives the same. */
const final: ReadonlySet<Code> = new Set([
  Code.Unauthenticated,
  Code.PermissionDenied,
  Code.InvalidArgument,
  Code.NotFound,
  Code.Unimplemented,
]);

interface WatchOptions {
  readonly audience: readonly string[];
  readonly heartbeats: boolean;
  readonly json: boolean;
  readonly trust: FeedTrust | undefined;
}

/** Adds `watch`. */
export function addWatchCommand(program: Command, io: CliIo): void {
  program
    .command("watch")
    .description("tell each change of the tenant's key set as it comes, until SIGINT or SIGTERM; one line an event")
    .option("--audience <audience...>", "tell also of the keys of these audiences' macaroons", [])
    .option("--no-heartbeats", "leave out what says only that nothing has changed")
    .addOption(feedKeyOption())
    .addOption(issuerOption())
    .action(async ({ audience, heartbeats, ...trusted }) => {
      const { feedKeys, issuer } = trustOptions(trusted);
      const trust = feedKeys && new FeedTrust({ feedKeys, issuer });
      await watch({ audience, heartbeats, json: program.opts().json === true, trust }, io);
    });
}

/** Follows until it is told to stop. Rejects with the server's refusal. */
async function watch({ audience: audiences, heartbeats, json, trust }: WatchOptions, io: CliIo): Promise<void> {
  const tell = (event: WatchEvent) => {
    const nowMs = waitingClock.now();
    const text = json ? JSON.stringify({ time: new Date(nowMs).toISOString(), ...event }) : lineOf(event, nowMs);
    io.stdout.write(`${text}\n`);
  };
  let identity: Identity | undefined;
  let refuse: (reason: unknown) => void = () => {};
  const refused = new Promise<never>((_, reject) => {
    refuse = reject;
  });
  const names = [publicFeed, ...new Set(audiences.map(audienceFeed))];
  const follower = new Follower({
    settings: {
      maxStaleness: maxStalenessSeconds,
      onStale: "deny",
      clientName: "ichor watch",
      clock: waitingClock,
      jitter: Math.random,
      onEvent(event) {
        if (event.kind === "disconnected" && isFinal(event.error)) return refuse(event.error);
        const told = connectionEvent(event, identity);
        if (told !== undefined) tell(told);
      },
    },
    client: serviceClient(DerivationService, io),
    headers: {},
    audiences: [...new Set(audiences)],
    feeds: new Map(names.map((name) => [name, new FeedReplica(name, waitingClock, trust)])),
    trust,
    onSubscribed: (told) => {
      identity = told;
    },
    onApplied: (feed, event) => {
      if (heartbeats || event.case !== "heartbeat") tell(feedEvent(feed, event));
    },
  });
  try {
    await Promise.race([stopped(io), refused]);
  } finally {
    await follower.close(true);
  }
}

/** What the connection tells of itself; of events that were applied there are better ones. */
function connectionEvent(event: VerifierEvent, identity: Identity | undefined): WatchEvent | undefined {
  switch (event.kind) {
    case "connected":
      return {
        event: "connected",
        tenant: identity?.tenantId,
        issuer: identity?.issuer,
        subscription: event.subscriptionId,
      };
    case "disconnected":
      return {
        event: "disconnected",
        why: event.error === undefined ? "the server stops" : messageOf(event.error),
        againInSeconds: Math.round(event.retryInMs) / 1000,
      };
    case "resync":
      return { event: "resync", feed: event.feed, why: messageOf(event.error) };
    default:
      return undefined;
  }
}

/** Resolves at SIGINT and SIGTERM, and when nobody reads what is told. */
function stopped({ stop, stdout }: CliIo): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) resolve();
    stop.addEventListener("abort", () => resolve(), { once: true });
    stdout.on("error", () => resolve());
  });
}

function isFinal(error: unknown): boolean {
  return error instanceof ConnectError && final.has(error.code);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
