import type { CredentialKind } from "../core/api-key.ts";
import { classifyCredential } from "../core/credential.ts";
import type { Demand } from "../core/demand.ts";
import type { Peppers } from "../core/digest.ts";
import { IchorError } from "../core/errors.ts";
import { after, type Eventual } from "../core/eventual.ts";
import type { TenantId } from "../core/ids.ts";
import type { LimitDecision } from "../core/rate-limit.ts";
import { intersectScopes } from "../core/scopes.ts";
import { authenticateKey, clearKey, credentialEndMs, effectiveScopes } from "../core/verification.ts";
import type { Verification } from "../core/verification-outcome.ts";
import type { RateLimiter } from "../limits/limiter-port.ts";
import type { Call } from "../rpc/call.ts";
import { awaitRevision } from "./await-revision.ts";
import type { FailedVerifications } from "./failed-verifications.ts";
import type { RebindSecret } from "./rebind-secret.ts";
import { type Freshness, findPresentedKey } from "./records.ts";
import { type SeenKey, SeenKeys } from "./seen-keys.ts";
import type { RecordUse } from "./use-recorder.ts";
import { type TokenDeps, type TokenVerification, verifyToken } from "./verify-token.ts";

export interface VerifyOptions {
  /** The tenant that verifies: another one's credentials don't exist for it. */
  readonly tenantId: TenantId;
  readonly demand: Demand;
  /** The answer must know this revision; 0: any. Throws REVISION_NOT_REACHED if the deadline is first. */
  readonly minRevision: bigint;
  /** Whether the store must be asked. */
  readonly noCache: boolean;
  /** What is taken of the key's rate limits if nothing else refuses; absent: they aren't asked. */
  readonly cost?: number;
  /** Whether the credential is only reported: that is no use of it. */
  readonly asReport?: boolean;
  /** When the call ends. Its signal costs more than a verification: it is asked for only by who waits. */
  readonly call: Pick<Call, "signal" | "remainingMs" | "clientAddress">;
}

/** Verifies a presented credential: authentic first, then cleared for the demand. Refusals are results. */
export type VerifyPresented = (presentedCredential: string, options: VerifyOptions) => Eventual<Verification>;

/** Takes each answer that a method gives about a credential, for metrics. Must not throw. */
export type CountVerification = (verification: Pick<Verification, "code" | "kind">) => void;

export interface VerificationDeps extends TokenDeps {
  readonly freshness: Freshness;
  readonly peppers: Peppers;
  readonly rebindSecret: RebindSecret;
  readonly recordUse: RecordUse;
  readonly limiter: RateLimiter;
  readonly failures: Pick<FailedVerifications, "turn" | "note">;
}

/** Makes the one verification where all kinds of credentials meet. */
export function verifyPresented(deps: VerificationDeps): VerifyPresented {
  const seenKeys = new SeenKeys(deps.peppers, deps.records);
  const verifyUnseen = async (presentedCredential: string, options: VerifyOptions): Promise<Verification> => {
    const { tenantId, noCache } = options;
    await awaitRevision(deps.freshness, options.minRevision, options.call);
    // Noted before anything is looked up: what is found is at least as new.
    const { revision } = deps.freshness;
    const { value: tenant, ageMs: tenantAgeMs } = await deps.records.tenant(tenantId, noCache);
    if (tenant === undefined) throw new IchorError("TENANT_NOT_FOUND", "no such tenant");
    const presented = classifyCredential(presentedCredential, tenant.settings);
    if (presented.kind === "JWT" || presented.kind === "MACAROON") {
      const verified = await verifyToken(deps, presented, tenant, options.demand, noCache);
      const ageMs = Math.max(tenantAgeMs, verified.ageMs);
      return takenOf(deps.limiter, { revision, ageMs, ...verificationOf(verified, presented.kind) }, options.cost);
    }
    if (presented.kind === "MALFORMED") {
      return { revision, ageMs: tenantAgeMs, code: "MALFORMED", ...(presented.meantAs && { kind: presented.meantAs }) };
    }
    const kind = presented.kind;
    // A report of leaks names unknown ones by its nature.
    const client = options.asReport === true ? undefined : (options.demand.clientIp ?? options.call.clientAddress);
    const together = client !== undefined && (await deps.failures.turn(client));
    const found = await findPresentedKey(deps.records, presented, tenantId, deps.peppers, noCache, together);
    const ageMs = Math.max(tenantAgeMs, found.ageMs);
    const authentication = authenticateKey(presented, found.value, tenantId, deps.peppers);
    if (!authentication.authentic) {
      if (client !== undefined) deps.failures.note(client);
      return { revision, ageMs, code: authentication.code, kind };
    }
    const { key, version } = authentication;
    deps.rebindSecret(presented, key, version);
    // Read past the cache, its records aren't those that will be at hand.
    if (!noCache) seenKeys.note(presentedCredential, { tenant, key, version });
    return takenOf(
      deps.limiter,
      { revision, ageMs, ...clearedKey(deps, { tenant, key, version }, options) },
      options.cost,
    );
  };
  return (presentedCredential, options) => {
    const { revision } = deps.freshness;
    if (options.noCache || revision < options.minRevision) return verifyUnseen(presentedCredential, options);
    const seen = seenKeys.find(presentedCredential);
    if (seen?.tenant.id !== options.tenantId) return verifyUnseen(presentedCredential, options);
    const answer = { revision, ageMs: seen.ageMs, ...clearedKey(deps, seen, options) };
    return takenOf(deps.limiter, answer, options.cost);
  };
}

function clearedKey(
  { recordUse, now }: VerificationDeps,
  { tenant, key, version }: SeenKey,
  { demand, asReport }: VerifyOptions,
) {
  if (asReport !== true) recordUse(key.id, version.number, demand.clientIp ?? "");
  return {
    code: clearKey({ key, version, tenant, demand, nowMs: now() }),
    kind: key.kind,
    key,
    version,
    scopes: effectiveScopes(key),
    expireTimeMs: credentialEndMs(key, version),
  };
}

/** Asks the key's rate limits, last of all: whoever is refused for anything else takes nothing from them. */
function takenOf(limiter: RateLimiter, answer: Verification, cost: number | undefined): Eventual<Verification> {
  const { code, key } = answer;
  if (key?.rateLimits === undefined || cost === undefined || code !== "VALID") return answer;
  return after(limiter.take(key.id, key.rateLimits, cost), (decision) => limited(answer, decision));
}

function limited(answer: Verification, { allowed, states }: LimitDecision): Verification {
  return { ...answer, code: allowed ? "VALID" : "RATE_LIMITED", rateLimits: states };
}

function verificationOf(
  { code, token, key }: TokenVerification,
  kind: CredentialKind,
): Pick<Verification, "code" | "kind" | "key" | "version" | "token" | "scopes" | "expireTimeMs"> {
  if (token === undefined) return { code, kind };
  if (key === undefined) return { code, kind, token };
  const version = key.secretVersions.find(({ number }) => number === token.secretVersion);
  const { expireTimeMs } = token.grant;
  return {
    code,
    kind,
    token,
    key,
    ...(version && { version }),
    scopes: intersectScopes(effectiveScopes(key), token.grant.scopes),
    expireTimeMs: Math.min(expireTimeMs, credentialEndMs(key, version ?? {}) ?? expireTimeMs),
  };
}
