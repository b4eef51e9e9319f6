import { inAnyNetwork } from "./cidr.ts";
import type { Demand } from "./demand.ts";
import { coversAll } from "./scopes.ts";

// One of the grammars of constraints; it has its own file because scopes need it too.
export { isAudience } from "./audience.ts";

/**
 * What a credential demands of a request beyond its scopes: one model behind keys, the JWT claim `cst`
 * and macaroon caveats. Every field that is set must be satisfied.
 */
export interface Constraints {
  /** Refused before this time, ms since the epoch. */
  readonly notBeforeMs?: number;
  /** Refused from this time on, ms since the epoch. */
  readonly expireTimeMs?: number;
  /** The request's audience must be one of these; absent: any. */
  readonly audiences?: readonly string[];
  /** Each required scope must be covered by one of these; absent: no narrowing. An empty list allows no scope. */
  readonly scopes?: readonly string[];
  /** The client address must be in one of these networks (CIDR); absent: any. */
  readonly cidrs?: readonly string[];
  /** The context must have each name with exactly this value, compared by bytes. */
  readonly contextEquals?: Readonly<Record<string, string>>;
  /** The context must have each name with a value beginning with this one, compared by bytes. */
  readonly contextPrefixes?: Readonly<Record<string, string>>;
}

/** The codes that a constraint can fail with, in the order of the checks. */
export type ConstraintCode =
  | "EXPIRED"
  | "NOT_YET_VALID"
  | "AUDIENCE_MISMATCH"
  | "IP_NOT_ALLOWED"
  | "CONSTRAINT_NOT_MET"
  | "INSUFFICIENT_SCOPE";

/** The longest context value, in bytes of UTF-8. */
export const contextValueBytesMax = 512;

const contextNamePattern = /^[a-z][a-z0-9_.-]{0,63}$/;
const unfitForContext = /[\p{Cc}\p{Cs}]/u;

/** Gives the first constraint that a request doesn't satisfy at `nowMs`; undefined if it satisfies all. */
export function constraintFailure(
  constraints: Constraints,
  demand: Demand,
  nowMs: number,
  leewayMs = 0,
): ConstraintCode | undefined {
  const { notBeforeMs, expireTimeMs, audiences, cidrs, scopes } = constraints;
  if (expireTimeMs !== undefined && nowMs >= expireTimeMs + leewayMs) return "EXPIRED";
  if (notBeforeMs !== undefined && nowMs < notBeforeMs - leewayMs) return "NOT_YET_VALID";
  const { audience, clientIp, context, deferred } = demand;
  if (audiences && (audience === undefined || !audiences.includes(audience)) && !deferred?.has("AUDIENCE_MISMATCH"))
    return "AUDIENCE_MISMATCH";
  if (cidrs && !inAnyNetwork(clientIp, cidrs) && !deferred?.has("IP_NOT_ALLOWED")) return "IP_NOT_ALLOWED";
  if (!contextSatisfies(constraints, context) && !deferred?.has("CONSTRAINT_NOT_MET")) return "CONSTRAINT_NOT_MET";
  if (scopes && !coversAll(scopes, demand.requiredScopes)) return "INSUFFICIENT_SCOPE";
  return undefined;
}

/** Whether the text may name a fact of a request's context: `[a-z][a-z0-9_.-]{0,63}`. */
export function isContextName(text: string): boolean {
  return contextNamePattern.test(text);
}

/** Whether the text may be a context value: at most 512 bytes of UTF-8, no control characters, no lone surrogates. */
export function isContextValue(text: string): boolean {
  if (text.length > contextValueBytesMax || unfitForContext.test(text)) return false;
  return Buffer.byteLength(text) <= contextValueBytesMax;
}

/**
 * Comparing UTF-16 units is comparing bytes of UTF-8, prefixes included, as long as no text has lone surrogates; nothing
 * is normalised. A context comes from outside and may be an ordinary object: only its own members count, so that
 * `constructor` is absent unless it was sent.
 */
function contextSatisfies(constraints: Constraints, context: Readonly<Record<string, string>>): boolean {
  const told = (name: string) => (Object.hasOwn(context, name) ? context[name] : undefined);
  for (const [name, value] of Object.entries(constraints.contextEquals ?? {})) {
    if (told(name) !== value) return false;
  }
  for (const [name, prefix] of Object.entries(constraints.contextPrefixes ?? {})) {
    if (!told(name)?.startsWith(prefix)) return false;
  }
  return true;
}
