import type { Client } from "@connectrpc/connect";
import type { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import type { Demand } from "../core/demand.ts";
import { VerifierUnavailableError } from "./unavailable-error.ts";
import { verifyResultOf } from "./verify-response.ts";
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
    return verifyResultOf(await client.verifyToken(request, { headers: { ...headers }, timeoutMs: onlineTimeoutMs }));
  } catch (cause) {
    throw new VerifierUnavailableError("OFFLINE", "what is known is stale, and the server can't be asked", { cause });
  }
}
