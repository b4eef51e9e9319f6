import type { MessageShape } from "@bufbuild/protobuf";
import type { WatchKeySetRequestSchema } from "../../gen/ichor/v1/key_set_pb.ts";
import { isAudience } from "../core/audience.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { parseId, type SubscriptionId } from "../core/ids.ts";
import type { Position } from "../core/key-set/feed.ts";
import { audienceFeed, type OnStale, onStaleFromProto, publicFeed } from "../wire/key-set.ts";
import { audiencesMax, checkText } from "../wire/request-fields.ts";
import { fromDuration } from "../wire/time.ts";

const maxStalenessMsDefault = 30_000;
const maxStalenessMsMax = 24 * 3_600_000;
const clientVersionBytesMax = 128;

/** What a client of WatchKeySet asks for, once it is sound. */
export interface WatchDraft {
  readonly audiences: readonly string[];
  /** How far the client has come in the feed `public`. */
  readonly resume: Position | undefined;
  readonly maxStalenessMs: number;
  readonly onStale: OnStale;
  readonly clientVersion: string;
  readonly replaces: SubscriptionId | undefined;
}

/** The feeds that it follows, by name. */
export function feedsOf({ audiences }: Pick<WatchDraft, "audiences">): readonly string[] {
  return [publicFeed, ...audiences.map(audienceFeed)];
}

/** Throws INVALID_FIELD with every fault. */
export function parseDraft(request: MessageShape<typeof WatchKeySetRequestSchema>): WatchDraft {
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
  const feeds = feedsOf({ audiences });
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
