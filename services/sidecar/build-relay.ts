import { randomBytes } from "node:crypto";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { parseId } from "../core/ids.ts";
import { createFastUnary, type FastUnary } from "../http/fast-unary.ts";
import { createRequestHandler, probeEndpoints } from "../http/plain-endpoints.ts";
import { connectRoutes } from "../rpc/connect-routes.ts";
import { healthService } from "../rpc/health.ts";
import type { ParentLog } from "../rpc/log.ts";
import { createMethodRegistry, partOfService } from "../rpc/method-registry.ts";
import { createRpcHandler, type NodeRequest, type NodeResponse } from "../rpc/node-handler.ts";
import { createPipeline, type PipelineDeps } from "../rpc/pipeline.ts";
import type { Readiness } from "../rpc/readiness.ts";
import type { WatchDraft } from "../subscribers/watch-draft.ts";
import { ackKeySet, type KeySetOwner, type KeySetSource, watchKeySet } from "../subscribers/watch-key-set.ts";
import type { VerifierClock } from "../verifier/clock.ts";
import type { Verifier } from "../verifier/verifier.ts";
import { audienceFeed } from "../wire/key-set.ts";
import type { Decide } from "./decide.ts";
import { credentialMethods } from "./methods.ts";
import { relayCallers } from "./relay-callers.ts";
import type { RelayHub } from "./relay-hub.ts";
import type { Upstream } from "./upstream.ts";

/** How often it is looked how many follow, in ms. */
const countMs = 60_000;

export interface RelayDeps {
  readonly hub: RelayHub;
  readonly verifier: Pick<Verifier, "status">;
  readonly decide: Decide;
  readonly upstream: Pick<Upstream, "together">;
  /** From which age on the side-car no longer trusts what it knows, in seconds. */
  readonly maxStaleness: number;
  readonly readiness: Readiness;
  /** Log, metrics and spans of calls. */
  readonly recording: Pick<PipelineDeps, "record" | "traceCall">;
  readonly clock: VerifierClock;
  readonly log: ParentLog;
}

/** What a side-car serves to those who follow it, without its listener. */
export interface Relay {
  readonly handler: (request: NodeRequest, response: NodeResponse) => void;
  readonly fastUnary: FastUnary;
  /** The same methods on any connect router. */
  readonly routes: ReturnType<typeof connectRoutes>;
  readonly hub: RelayHub;
  /** Ends what runs in the background. */
  stop(): void;
}

/**
 * Serves WatchKeySet and AckKeySet of what the side-car follows itself, and VerifyCredential with its batch, so that a
 * side-car can have this one for its server. Callers show a credential, as at the server, and are cut off as there.
 */
export function buildRelay(deps: RelayDeps): Relay {
  const { hub, verifier, decide, upstream, readiness, recording, clock, log } = deps;
  const source: KeySetSource = {
    admit: async (draft) => admit(deps, draft),
    book: hub.book,
    begin: (subscriber, order) => hub.begin(subscriber, order),
    revision: () => hub.position?.revision ?? 0n,
    tally: hub.tally,
    schedule: clock.schedule,
    now: clock.now,
    random: randomBytes,
  };
  const pipeline = createPipeline({
    authenticate: relayCallers(decide, () => verifier.status()),
    clientAddress: ({ peerAddress }) => peerAddress,
    resolveTenant: () => Promise.reject(new TypeError("callers of a relay stay in their tenant")),
    limitCaller: () => {},
    isDraining: () => readiness.draining,
    ...recording,
    monotonicMs: clock.monotonicMs,
  });
  const registry = createMethodRegistry([
    credentialMethods(decide, upstream),
    partOfService(DerivationService, { watchKeySet: watchKeySet(source), ackKeySet: ackKeySet(source) }),
    healthService([AdminService.typeName, DerivationService.typeName], readiness),
  ]);
  const routes = connectRoutes({ registry, pipeline, streamsEnd: readiness.drainSignal });
  return {
    hub,
    stop: tellCount(deps),
    handler: createRequestHandler(createRpcHandler(routes, log), probeEndpoints(readiness), log),
    fastUnary: createFastUnary({ registry, pipeline, log }),
    routes,
  };
}

/** Logs how many follow when that has changed, until it is stopped. */
function tellCount({ hub, clock, log }: RelayDeps): () => void {
  let told = 0;
  let cancel = () => {};
  const look = () => {
    const followers = hub.book.connected;
    if (followers !== told) log.info({ followers }, "is followed");
    told = followers;
  };
  const goOnLooking = () => {
    cancel = clock.schedule(() => {
      look();
      goOnLooking();
    }, countMs);
  };
  goOnLooking();
  return () => {
    cancel();
    look();
  };
}

/** A subscription must not outlast the relay's own: who follows a relay that has died is waited for as long as for it. */
function admit({ hub, verifier, maxStaleness }: RelayDeps, draft: WatchDraft): KeySetOwner {
  const { audiences, maxStalenessMs, onStale } = draft;
  const violations = new FieldViolations();
  audiences.forEach((audience, i) => {
    const followed = hub.feeds.includes(audienceFeed(audience));
    violations.require(followed, `audiences[${i}]`, "is none that this relay follows");
  });
  const within = maxStalenessMs <= maxStaleness * 1000;
  violations.require(within, "max_staleness", `must be at most this relay's own, ${maxStaleness} s`);
  violations.require(
    onStale !== "ALLOW",
    "on_stale",
    "must not be ON_STALE_ALLOW: a relay can't tell of such a client",
  );
  violations.throwIfAny();
  const { stale, issuer, tenantId } = verifier.status();
  const id = parseId("ten", tenantId ?? "");
  if (stale || !hub.ready || issuer === undefined || id === undefined) {
    throw new IchorError("UPSTREAM_UNAVAILABLE", "this relay knows too little", { retryAfterMs: 1_000 });
  }
  return { tenantId: id, issuer };
}
