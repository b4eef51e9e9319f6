import type { Demand } from "../demand.ts";
import { type DerivedToken, tokenFailure } from "../derived-token.ts";
import { idBytes } from "../ids.ts";
import type { VerificationCode } from "../verification-code.ts";
import { readMark } from "./key-mark.ts";
import type { KeySetState } from "./key-set-state.ts";

/** An authentic token, with its ids as the 16 bytes that key sets know them by. */
export interface AuthenticToken {
  readonly token: DerivedToken;
  readonly keyId: Uint8Array;
  readonly tokenId: Uint8Array;
}

/** Reads the ids once, for a token that may be presented again. */
export function authenticToken(token: DerivedToken): AuthenticToken {
  return { token, keyId: idBytes(token.keyId), tokenId: idBytes(token.tokenId) };
}

/**
 * Says whether an authentic derived token allows a request, by what a key set tells: the first failure in the order of
 * `verificationCodes`, or VALID. What only the key's record tells (its present scopes and networks, the end of a secret's
 * grace) is for those to ask who have it.
 *
 * @param leewaySeconds 0–60, for clocks that differ
 */
export function clearOffline(
  { token, keyId, tokenId }: AuthenticToken,
  keySet: Pick<KeySetState, "markOf" | "isTokenRevoked" | "issuedBeforeMs" | "tenantDisabled">,
  demand: Demand,
  nowMs: number,
  leewaySeconds: number,
): VerificationCode {
  if (token.issueTimeMs < keySet.issuedBeforeMs || keySet.isTokenRevoked(tokenId)) return "REVOKED";
  const mark = keySet.markOf(keyId);
  // A mark of another version's making says that something is wrong with the key.
  const known = mark === 0 ? undefined : (readMark(mark) ?? { status: "REVOKED", tokenEpoch: 0 });
  if (known?.status === "REVOKED" || token.tokenEpoch < (known?.tokenEpoch ?? 0)) return "REVOKED";
  if (known?.status === "DISABLED" || keySet.tenantDisabled) return "DISABLED";
  return tokenFailure(token, demand, nowMs, leewaySeconds) ?? "VALID";
}
