import type { PublishedSigningKey } from "./change.ts";
import { tokenLifeSecondsMax } from "./derived-token.ts";
import { IchorError } from "./errors.ts";
import type { SigningKeyId, TenantId } from "./ids.ts";
import type { JwtAlgorithm } from "./jwt/algorithms.ts";
import type { PublicJwk } from "./jwt/verification-key.ts";

// The life of signing keys: NEXT → ACTIVE → RETIRED → REMOVED, or COMPROMISED from any of them. A tenant has one ACTIVE
// and one NEXT key, always.

export type SigningKeyState = "NEXT" | "ACTIVE" | "RETIRED" | "REMOVED" | "COMPROMISED";

/** A key pair that signs JWTs, without its private part. Times in ms since the epoch. */
export interface SigningKey {
  readonly id: SigningKeyId;
  readonly tenantId: TenantId;
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  readonly algorithm: JwtAlgorithm;
  readonly state: SigningKeyState;
  /** With `alg`, `kid` and `use`, as published. */
  readonly publicJwk: PublicJwk;
  readonly createTimeMs: number;
  readonly activateTimeMs?: number;
  readonly retireTimeMs?: number;
  /** When it ceases, or ceased, to be published. */
  readonly removeTimeMs?: number;
  /** When its state ends by itself: an ACTIVE key's turn, a RETIRED one's removal. */
  readonly dueTimeMs?: number;
}

/** How long a key must have been published before it signs, in ms: whoever fetches keys once a day knows it by then. */
export const signingKeyLeadMs = 24 * 3_600_000;

/**
 * How long something about a token is remembered, in ms: the longest life of a token, and 15 min for clocks that differ
 * and servers that learn late.
 */
export const tokenMemoryMs = tokenLifeSecondsMax * 1000 + 15 * 60_000;

/** What a step makes of a tenant's keys: those that change, as they are after it. Whatever isn't named stays. */
export interface SigningKeyStep {
  readonly event: "rotated" | "compromised" | "removed";
  readonly changed: readonly SigningKey[];
  /** Whose private parts are of no more use. */
  readonly forgotten: readonly SigningKey[];
}

/** Whether verifiers may trust a key in this state. */
export function isPublished(key: Pick<SigningKey, "state">): boolean {
  return isPublishedState(key.state);
}

/** Gives those keys that are published, as verifiers know them. */
export function publishedKeys(keys: readonly SigningKey[]): readonly PublishedSigningKey[] {
  return keys.flatMap(({ kid, state, publicJwk }) =>
    isPublishedState(state) ? [{ kid, state, publicJwk: { ...publicJwk } }] : [],
  );
}

function isPublishedState(state: SigningKeyState): state is PublishedSigningKey["state"] {
  return state === "NEXT" || state === "ACTIVE" || state === "RETIRED";
}

/** Makes a published key the one that signs until `next` takes its turn: after the period, and not before its lead. */
export function activated(key: SigningKey, next: SigningKey, nowMs: number, periodMs: number): SigningKey {
  return withTurn({ ...key, state: "ACTIVE", activateTimeMs: nowMs }, next, periodMs);
}

/** Gives an ACTIVE key the end of its turn anew, as after a change of the period or of the next key. */
export function withTurn(active: SigningKey, next: SigningKey, periodMs: number): SigningKey {
  const { activateTimeMs = active.createTimeMs } = active;
  return { ...active, dueTimeMs: Math.max(activateTimeMs + periodMs, next.createTimeMs + signingKeyLeadMs) };
}

/** Gives the one key of a tenant in this state: there is one ACTIVE and one NEXT, always. */
export function keyIn(keys: readonly SigningKey[], state: "ACTIVE" | "NEXT"): SigningKey {
  const key = keys.find((one) => one.state === state);
  if (key === undefined) throw new TypeError(`a tenant has a signing key that is ${state}`);
  return key;
}

/**
 * Puts NEXT in the place of ACTIVE and `fresh` in the place of NEXT. Throws NEXT_KEY_TOO_YOUNG if NEXT has been
 * published for less than the lead, unless `force`.
 */
export function rotated(
  keys: readonly SigningKey[],
  fresh: SigningKey,
  { nowMs, periodMs, force }: { readonly nowMs: number; readonly periodMs: number; readonly force: boolean },
): SigningKeyStep {
  const [active, next] = [keyIn(keys, "ACTIVE"), keyIn(keys, "NEXT")];
  const readyTimeMs = next.createTimeMs + signingKeyLeadMs;
  if (nowMs < readyTimeMs && !force) {
    throw new IchorError("NEXT_KEY_TOO_YOUNG", "the next signing key hasn't been published for 24 h", {
      metadata: { ready_time: new Date(readyTimeMs).toISOString() },
    });
  }
  const retired = retire(active, nowMs);
  return { event: "rotated", changed: [retired, activated(next, fresh, nowMs, periodMs), fresh], forgotten: [retired] };
}

/**
 * Marks a key as COMPROMISED. If it was ACTIVE, NEXT signs at once, however young: a verifier that doesn't know it asks
 * again. `fresh` becomes NEXT if there is none left, else it isn't used. Undefined if the key was compromised before.
 * Throws SIGNING_KEY_NOT_FOUND.
 */
export function compromised(
  keys: readonly SigningKey[],
  id: SigningKeyId,
  fresh: SigningKey,
  { nowMs, periodMs }: { readonly nowMs: number; readonly periodMs: number },
): SigningKeyStep | undefined {
  const key = keys.find((one) => one.id === id);
  if (key === undefined) throw new IchorError("SIGNING_KEY_NOT_FOUND", "no signing key of this id in the tenant");
  if (key.state === "COMPROMISED") return undefined;
  const { dueTimeMs: _, ...rest } = key;
  const ended: SigningKey = {
    ...rest,
    state: "COMPROMISED",
    retireTimeMs: key.retireTimeMs ?? nowMs,
    removeTimeMs: Math.min(key.removeTimeMs ?? nowMs, nowMs),
  };
  return {
    event: "compromised",
    changed: [ended, ...successors(keys, key, fresh, nowMs, periodMs)],
    forgotten: [ended],
  };
}

/** What is due at `nowMs` for a key: its turn is over, or it need no longer be published. */
export function dueStep(key: SigningKey, nowMs: number): "rotate" | "remove" | undefined {
  if (key.dueTimeMs === undefined || key.dueTimeMs > nowMs) return undefined;
  return key.state === "ACTIVE" ? "rotate" : key.state === "RETIRED" ? "remove" : undefined;
}

/** Ceases to publish those RETIRED keys whose last token has ended; undefined if there is none. */
export function removed(keys: readonly SigningKey[], nowMs: number): SigningKeyStep | undefined {
  const changed = keys.filter((key) => dueStep(key, nowMs) === "remove").map(remove);
  return changed.length === 0 ? undefined : { event: "removed", changed, forgotten: [] };
}

function successors(
  keys: readonly SigningKey[],
  ended: SigningKey,
  fresh: SigningKey,
  nowMs: number,
  periodMs: number,
): readonly SigningKey[] {
  if (ended.state === "ACTIVE") return [activated(keyIn(keys, "NEXT"), fresh, nowMs, periodMs), fresh];
  if (ended.state === "NEXT") return [withTurn(keyIn(keys, "ACTIVE"), fresh, periodMs), fresh];
  return [];
}

function retire(active: SigningKey, nowMs: number): SigningKey {
  const removeTimeMs = nowMs + tokenMemoryMs;
  return { ...active, state: "RETIRED", retireTimeMs: nowMs, removeTimeMs, dueTimeMs: removeTimeMs };
}

function remove(key: SigningKey): SigningKey {
  const { dueTimeMs: _, ...rest } = key;
  return { ...rest, state: "REMOVED" };
}
