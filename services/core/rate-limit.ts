/**
 * A named limit on how often a key may be used: at most `burst` uses at once, which come back evenly, `limit` in each
 * `periodMs`. So within any span of that length at most `burst + limit` are allowed.
 */
export interface RateLimit {
  /** `[a-z][a-z0-9_.-]{0,63}`, once among the limits of a key. */
  readonly name: string;
  /** 1 to 10^9. */
  readonly limit: number;
  /** 1 s to 31 d. */
  readonly periodMs: number;
  /** 1 to 10^9. */
  readonly burst: number;
  /** Whether only a server may decide it. */
  readonly strict: boolean;
}

/** What is left of a limit. */
export interface RateLimitState {
  readonly name: string;
  readonly limit: number;
  /** Uses that are left now. */
  readonly remaining: number;
  /** When all are back, ms since the epoch. */
  readonly resetTimeMs: number;
  /** Set if it refused: when there is enough for this cost again, ms since the epoch; absent if there never will be. */
  readonly retryTimeMs?: number;
}

/** What became of a use. */
export interface LimitDecision {
  readonly allowed: boolean;
  /** In the order of the limits. */
  readonly states: readonly RateLimitState[];
}

/**
 * What rounding may add up to, in uses: a level of 10^9 is kept to 10^-7, and each use that is written adds at least 1, so
 * that what is lost is no part of what is counted.
 */
const rounding = 1e-6;
/** The end of the year 9999, in ms: the last time that can be told. */
const timeMsMax = 253_402_300_799_999;

// The level of a limit is the number of uses that haven't come back yet: a leaky bucket, which decides as the generic
// cell rate algorithm (ITU-T I.371) does. It needs no list of uses and no timer, and it stays right when `limit`, `period`
// or `burst` of the policy change.

/**
 * Whether uses must be counted by a server: then nothing may be derived from the key that is verified elsewhere, since
 * there nobody counts.
 */
export function mustCount(limits: readonly RateLimit[] = []): boolean {
  return limits.some(({ strict }) => strict);
}

/** Gives what a level has become after so many ms. A clock that went back lets nothing come back. */
export function levelAfter({ limit, periodMs }: RateLimit, level: number, elapsedMs: number): number {
  return Math.max(0, level - (Math.max(0, elapsedMs) * limit) / periodMs);
}

/** Whether all limits together have room for a use, given the level of each. What costs nothing always has. */
export function hasRoom(limits: readonly RateLimit[], levels: readonly number[], cost: number): boolean {
  return limits.every((limit, i) => roomFor(limit, levels[i] ?? 0, cost));
}

/** Tells a decision. `levels` are those after it. */
export function limitDecision(
  limits: readonly RateLimit[],
  levels: readonly number[],
  cost: number,
  allowed: boolean,
  nowMs: number,
): LimitDecision {
  const states = limits.map((limit, i): RateLimitState => {
    const level = levels[i] ?? 0;
    const { name, burst } = limit;
    const refused = !allowed && !roomFor(limit, level, cost);
    return {
      name,
      limit: limit.limit,
      remaining: Math.max(0, Math.floor(burst - level + rounding)),
      resetTimeMs: timeAfter(nowMs, limit, level),
      ...(refused && cost <= burst && { retryTimeMs: timeAfter(nowMs, limit, level + cost - burst) }),
    };
  });
  return { allowed, states };
}

function roomFor({ burst }: RateLimit, level: number, cost: number): boolean {
  return cost === 0 || level + cost <= burst + rounding;
}

/** When so many uses have come back. */
function timeAfter(nowMs: number, { limit, periodMs }: RateLimit, uses: number): number {
  const spanMs = (Math.max(0, uses) * periodMs) / limit;
  // A whole number of ms that rounding has left a little above stays what it was.
  return Math.min(nowMs + Math.ceil(spanMs * (1 - 1e-12)), timeMsMax);
}
