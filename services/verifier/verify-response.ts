import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type VerifyCredentialResponse, VerifyCredentialResponseSchema } from "../../gen/ichor/v1/verification_pb.ts";
import { credentialKindToProto, verificationCodeToProto } from "../wire/enums.ts";
import { toDuration } from "../wire/time.ts";
import type { VerifyResult } from "./verify-result.ts";

/** Gives a verifier's result in the form of the server's answer. */
export function verifyResponseOf(result: VerifyResult): VerifyCredentialResponse {
  const { valid, code, kind, keyId, ownerId, tenantId, tokenId, scopes, expireTime, revision, age } = result;
  return create(VerifyCredentialResponseSchema, {
    valid,
    code: verificationCodeToProto[code],
    ...(kind && { kind: credentialKindToProto[kind] }),
    ...(keyId !== undefined && {
      key: {
        id: keyId,
        ...(ownerId !== undefined && { ownerId }),
        ...(tenantId !== undefined && { tenantId }),
        scopes: [...(scopes ?? [])],
        ...(expireTime && { expireTime: timestampFromDate(expireTime) }),
      },
    }),
    ...(tokenId !== undefined && { tokenId }),
    revision,
    age: toDuration(Math.ceil(age * 1000)),
  });
}
