import { FieldViolations } from "../core/field-violations.ts";
import type { KeyId, TokenId } from "../core/ids.ts";
import type { Call } from "../rpc/call.ts";
import type { VerifyPresented } from "./verify-presented.ts";

/**
 * Gives the ids of a derived token of the acting tenant that was shown to end it, whatever its state. Throws
 * INVALID_FIELD, with the field `token`, for anything else.
 */
export async function authenticToken(
  verifyPresented: VerifyPresented,
  presentedToken: string,
  call: Call,
): Promise<{ readonly keyId: KeyId; readonly tokenId: TokenId }> {
  const { token } = await verifyPresented(presentedToken, {
    tenantId: call.tenantId,
    demand: { requiredScopes: [], context: {} },
    minRevision: 0n,
    noCache: false,
    call,
  });
  const violations = new FieldViolations();
  violations.require(token !== undefined, "token", "is not a derived token of this tenant");
  violations.throwIfAny();
  const { keyId, tokenId } = token as NonNullable<typeof token>;
  return { keyId, tokenId };
}
