import type { Client } from "@connectrpc/connect";
import type { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { VerificationCode as CodePb } from "../../gen/ichor/v1/verification_pb.ts";
import type { Demand } from "../core/demand.ts";
import type { VerificationCode } from "../core/verification-code.ts";
import { nameOf } from "../wire/enums.ts";
import { fromTimestamp } from "../wire/time.ts";
import { VerifierUnavailableError } from "./unavailable-error.ts";
import type { VerifyResult } from "./verify-result.ts";

/** How long the server may take, in ms. */
export const onlineTimeoutMs = 5_000;

/** Asks the server about a token. Rejects with VerifierUnavailableError OFFLINE. */
export async function verifyOnline(
  client: Client<typeof DerivationService>,
  headers: Readonly<Record<string, string>>,
  credential: string,
  demand: Demand,
): Promise<VerifyResult> {
  const { requiredScopes, audience = "", clientIp = "", context } = demand;
  const request = { credential, requiredScopes: [...requiredScopes], audience, clientIp, context: { ...context } };
  try {
    const { code, valid, key, tokenId, revision, age } = await client.verifyToken(request, {
      headers: { ...headers },
      timeoutMs: onlineTimeoutMs,
    });
    const expireMs = key?.expireTime && fromTimestamp(key.expireTime);
    return {
      valid,
      // A code of a newer server keeps its number: whoever tolerates it treats it as a refusal.
      code: nameOf(CodePb, code) as VerificationCode,
      ...(key && { keyId: key.id, ownerId: key.ownerId, tenantId: key.tenantId, tokenId, scopes: key.scopes }),
      ...(expireMs !== undefined && { expireTime: new Date(expireMs) }),
      revision,
      age: Number(age?.seconds ?? 0) + (age?.nanos ?? 0) / 1e9,
    };
  } catch (cause) {
    throw new VerifierUnavailableError("OFFLINE", "what is known is stale, and the server can't be asked", { cause });
  }
}
