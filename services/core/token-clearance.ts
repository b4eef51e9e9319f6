import type { ApiKey } from "./api-key.ts";
import type { Demand } from "./demand.ts";
import { type DerivedToken, tokenFailure } from "./derived-token.ts";
import { idTimeMs } from "./ids.ts";
import { liveVersions } from "./key-life.ts";
import type { Tenant } from "./tenant.ts";
import { keyFailure } from "./verification.ts";
import { earlierCode, type VerificationCode } from "./verification-code.ts";

/** What `clearToken` decides on. */
export interface TokenClearance {
  /** Authentic. */
  readonly token: DerivedToken;
  /** The key that it was derived from, as it is now; undefined if it is gone. */
  readonly key: ApiKey | undefined;
  readonly tenant: Pick<Tenant, "state" | "tokensIssuedBeforeMs">;
  /** Whether the token was revoked by itself. */
  readonly revoked: boolean;
  readonly demand: Demand;
  /** ms since the epoch. */
  readonly nowMs: number;
}

/**
 * Says whether an authentic derived token allows a request, by all that is known where its key is: the first failure in
 * the order of `verificationCodes`, or VALID. A token never outlives its key, and allows no more than the key does now.
 */
export function clearToken({ token, key, tenant, revoked, demand, nowMs }: TokenClearance): VerificationCode {
  if (revoked || token.issueTimeMs < (tenant.tokensIssuedBeforeMs ?? 0)) return "REVOKED";
  if (key === undefined || key.tenantId !== token.tenantId || key.state === "REVOKED") return "REVOKED";
  if (token.tokenEpoch < key.tokenEpoch || !secretMayLive(token, key, nowMs)) return "REVOKED";
  if (key.state === "DISABLED" || tenant.state === "DISABLED") return "DISABLED";
  return earlierCode(tokenFailure(token, demand, nowMs, 0), keyFailure(key, demand, nowMs)) ?? "VALID";
}

/**
 * Whether the secret that a token was derived with may still verify. A macaroon names it. A JWT doesn't: it was one of
 * those that existed when the token was made, to the millisecond of its id.
 */
function secretMayLive({ tokenId, secretVersion }: DerivedToken, key: ApiKey, nowMs: number): boolean {
  const live = liveVersions(key, nowMs);
  if (secretVersion !== undefined) return live.some(({ number }) => number === secretVersion);
  const madeMs = idTimeMs(tokenId);
  return live.some(({ createTimeMs }) => createTimeMs <= madeMs);
}
