import type { MessageShape } from "@bufbuild/protobuf";
import { SelfService, type SelfServiceRevokeTokenRequestSchema } from "../../gen/ichor/v1/self_service_pb.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { type KeyId, parseId, type TokenId } from "../core/ids.ts";
import { revokeOneToken } from "../mutation/revoke-one-token.ts";
import { runOnce } from "../mutation/run-once.ts";
import type { Call, Unary } from "../rpc/call.ts";
import { authenticToken } from "../verification/authentic-token.ts";
import { checkRequestId } from "../wire/request-fields.ts";
import type { SelfDeps } from "./deps.ts";
import { ownSecretKey, requireNewest } from "./own-key.ts";

/** RevokeToken: ends a token that was derived from the caller's own key. */
export function revokeOwnToken(deps: SelfDeps): Unary<typeof SelfService.method.revokeToken> {
  return async (request, call) => {
    const { key } = ownSecretKey(call);
    requireNewest(call.caller, key);
    const tokenId = await parseTarget(deps, request, call, key.id);
    return runOnce(deps, call, SelfService.method.revokeToken, request, {
      work: (tx, revision) => revokeOneToken(tx, call, { keyId: key.id, tokenId }, revision, deps.now()),
      recall: async (_tx, { revision }) => ({ revision }),
    });
  };
}

async function parseTarget(
  { verifyPresented }: SelfDeps,
  { target, requestId }: MessageShape<typeof SelfServiceRevokeTokenRequestSchema>,
  call: Call,
  ownKeyId: KeyId,
): Promise<TokenId> {
  const violations = new FieldViolations();
  checkRequestId(violations, requestId);
  violations.require(target.case !== undefined, "target", "must name a token");
  if (target.case !== "token") {
    const tokenId = parseId("tok", target.value ?? "");
    violations.require(tokenId !== undefined, "token_id", "must be a TypeID tok_…");
    violations.throwIfAny();
    return tokenId as TokenId;
  }
  violations.throwIfAny();
  const { keyId, tokenId } = await authenticToken(verifyPresented, target.value, call);
  violations.require(keyId === ownKeyId, "token", "is not a token of the caller's key");
  violations.throwIfAny();
  return tokenId;
}
