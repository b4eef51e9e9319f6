import type { MessageShape } from "@bufbuild/protobuf";
import type { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import type { WatchKeySetRequestSchema } from "../../gen/ichor/v1/key_set_pb.ts";
import { requireScope } from "../core/access.ts";
import { isAudience } from "../core/audience.ts";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { newId, parseId, type SubscriptionId } from "../core/ids.ts";
import type { Position } from "../core/key-set/feed.ts";
import { audienceScope } from "../core/scopes.ts";
import { issuerOf } from "../core/tenant.ts";
import type { StreamCall, Streaming, Unary } from "../rpc/call.ts";
import { audienceFeed, type OnStale, onStaleFromProto, publicFeed } from "../wire/key-set.ts";
import { audiencesMax, checkText } from "../wire/request-fields.ts";
import { fromDuration, toDuration } from "../wire/time.ts";
import type { DerivationDeps } from "./deps.ts";
import { eventFrame } from "./feed-channel.ts";
import { heartbeatMs } from "./key-set-hub.ts";
import { Subscriber } from "./subscriber.ts";

/** How often a subscriber acknowledges unless it is asked, in ms. */
export const ackIntervalMs = 10_000;
const maxStalenessMsDefault = 30_000;
const maxStalenessMsMax = 24 * 3_600_000;
const clientVersionBytesMax = 128;

interface WatchDraft {
  readonly audiences: readonly string[];
  readonly resume: Position | undefined;
  readonly maxStalenessMs: number;
  readonly onStale: OnStale;
  readonly clientVersion: string;
  readonly replaces: SubscriptionId | undefined;
}

/** WatchKeySet: what verifies the tenant's tokens, as a stream. */
export function watchKeySet(deps: DerivationDeps): Streaming<typeof DerivationService.method.watchKeySet> {
  return async (request, call, sink) => {
    const draft = parseDraft(request);
    for (const audience of draft.audiences) requireScope(call.caller, `${audienceScope}${audience}`);
    const { value: tenant } = await deps.records.tenant(call.tenantId, false);
    if (tenant === undefined) throw new IchorError("TENANT_NOT_FOUND", "no such tenant");
    const { hub, ledger, schedule } = deps;
    const id = newId("sub", deps.now(), deps.random(10));
    const subscriber = new Subscriber({ id, call, sink, schedule, tally: hub.tally });
    await ledger.open(subscriptionOf(deps, id, draft, call), draft.replaces);
    const gone = () => subscriber.close();
    call.signal.addEventListener("abort", gone, { once: true });
    if (call.signal.aborted) gone();
    try {
      const subscribed = {
        subscriptionId: id,
        tenantId: tenant.id,
        issuer: issuerOf(deps.issuer(), tenant),
        heartbeatInterval: toDuration(heartbeatMs),
        ackInterval: toDuration(ackIntervalMs),
      };
      subscriber.send(eventFrame({ case: "subscribed", value: subscribed }));
      await hub.serve(subscriber, { tenantId: tenant.id, audiences: draft.audiences, resume: draft.resume });
    } finally {
      call.signal.removeEventListener("abort", gone);
      await ledger.disconnected(id);
    }
  };
}

/** AckKeySet: how far a subscription has come. */
export function ackKeySet({ ledger, freshness }: DerivationDeps): Unary<typeof DerivationService.method.ackKeySet> {
  return async ({ subscriptionId, feed, revision }, { caller }) => {
    const violations = new FieldViolations();
    const id = parseId("sub", subscriptionId);
    violations.require(id !== undefined, "subscription_id", "must be a TypeID sub_…");
    const possible = revision >= 0n && revision <= freshness.revision;
    violations.require(possible, "revision", "is not one that this server knows");
    violations.require(feed !== "", "feed", "must name a feed");
    violations.throwIfAny();
    await ledger.acknowledge(id as SubscriptionId, caller.keyId, feed, revision);
    return {};
  };
}

function parseDraft(request: MessageShape<typeof WatchKeySetRequestSchema>): WatchDraft {
  const violations = new FieldViolations();
  const audiences = [...new Set(request.audiences)];
  violations.require(audiences.length <= audiencesMax, "audiences", `must have at most ${audiencesMax} audiences`);
  request.audiences.slice(0, audiencesMax).forEach((audience, i) => {
    violations.require(isAudience(audience), `audiences[${i}]`, "is not an audience");
  });
  const maxStalenessMs =
    request.maxStaleness === undefined ? maxStalenessMsDefault : fromDuration(request.maxStaleness);
  const inRange = maxStalenessMs !== undefined && maxStalenessMs >= 1_000 && maxStalenessMs <= maxStalenessMsMax;
  violations.require(inRange, "max_staleness", "must be 1 s to 24 h");
  const onStale = onStaleFromProto(request.onStale);
  violations.require(onStale !== undefined, "on_stale", "is not a value that this version knows");
  checkText(violations, "client_version", request.clientVersion, clientVersionBytesMax);
  const previous = request.previousSubscriptionId;
  const replaces = previous === "" ? undefined : parseId("sub", previous);
  violations.require(previous === "" || replaces !== undefined, "previous_subscription_id", "must be a TypeID sub_…");
  const resume = parseResume(violations, request);
  violations.throwIfAny();
  return {
    audiences,
    resume,
    maxStalenessMs: maxStalenessMs ?? 0,
    onStale: onStale ?? "DENY",
    clientVersion: request.clientVersion,
    replaces,
  };
}

/** Only the public feed resumes: those of audiences are a few keys, and begin anew each time. */
function parseResume(
  violations: FieldViolations,
  { resume, audiences }: MessageShape<typeof WatchKeySetRequestSchema>,
): Position | undefined {
  const feeds = [publicFeed, ...audiences.map(audienceFeed)];
  violations.require(resume.length <= feeds.length, "resume", "names more feeds than are followed");
  const points = resume.slice(0, audiencesMax + 1);
  points.forEach(({ feed, storeEpoch, revision, hash }, i) => {
    violations.require(feeds.includes(feed), `resume[${i}].feed`, "is not one that is followed");
    violations.require(/^[0-9a-f]{32}$/.test(storeEpoch), `resume[${i}].store_epoch`, "is not a store epoch");
    violations.require(revision >= 0n, `resume[${i}].revision`, "must not be negative");
    violations.require(hash.length === 32, `resume[${i}].hash`, "must have 32 bytes");
  });
  const point = points.find(({ feed }) => feed === publicFeed);
  return point && { storeEpoch: point.storeEpoch, revision: point.revision, hash: point.hash };
}

function subscriptionOf({ ledger, now }: DerivationDeps, id: SubscriptionId, draft: WatchDraft, call: StreamCall) {
  const { audiences, maxStalenessMs, onStale, clientVersion } = draft;
  const nowMs = now();
  return {
    id,
    tenantId: call.tenantId,
    keyId: call.caller.keyId,
    serverId: ledger.serverId,
    feeds: [publicFeed, ...audiences.map(audienceFeed)],
    clientVersion,
    address: call.clientAddress,
    maxStalenessMs,
    onStale,
    createTimeMs: nowMs,
    seenTimeMs: nowMs,
    ackedRevision: 0n,
  };
}
