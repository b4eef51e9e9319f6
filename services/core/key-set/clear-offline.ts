import type { Demand } from "../demand.ts";
import { type DerivedToken, tokenFailure } from "../derived-token.ts";
import { idBytes } from "../ids.ts";
import type { VerificationCode } from "../verification-code.ts";
import { readMark } from "./key-mark.ts";
import type { KeySetState } from "./key-set-state.ts";

/**
 * Says whether an authentic derived token allows a request, by what a key set tells: the first failure in the order of
 * `verificationCodes`, or VALID. What only the key's record tells (its present scopes and networks, the end of a secret's
 * grace) is for those to ask who have it.
 *
 * @param leewaySeconds 0–60, for clocks that differ
 */
export function clearOffline(
  token: DerivedToken,
  keySet: Pick<KeySetState, "markOf" | "isTokenRevoked" | "issuedBeforeMs" | "tenantDisabled">,
  demand: Demand,
  nowMs: number,
  leewaySeconds: number,
): VerificationCode {
  if (token.issueTimeMs < keySet.issuedBeforeMs || keySet.isTokenRevoked(idBytes(token.tokenId))) return "REVOKED";
  const mark = keySet.markOf(idBytes(token.keyId));
  // A mark of another version's making says that something is wrong with the key.
  const known = mark === 0 ? undefined : (readMark(mark) ?? { status: "REVOKED", tokenEpoch: 0 });
  if (known?.status === "REVOKED" || token.tokenEpoch < (known?.tokenEpoch ?? 0)) return "REVOKED";
  if (known?.status === "DISABLED" || keySet.tenantDisabled) return "DISABLED";
  return tokenFailure(token, demand, nowMs, leewaySeconds) ?? "VALID";
}
