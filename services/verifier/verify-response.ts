import { create } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { CredentialKind as KindPb, type RateLimitState } from "../../gen/ichor/v1/api_key_pb.ts";
import {
  VerificationCode as CodePb,
  type VerifyCredentialResponse,
  VerifyCredentialResponseSchema,
} from "../../gen/ichor/v1/verification_pb.ts";
import type { VerificationCode } from "../core/verification-code.ts";
import { credentialKindToProto, nameOf, verificationCodeToProto } from "../wire/enums.ts";
import { fromTimestamp, toDuration } from "../wire/time.ts";
import type { RateLimitLeft, VerifyResult } from "./verify-result.ts";

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

/** Gives the server's answer, or a side-car's, in the form of a verifier's result. */
export function verifyResultOf(answer: VerifyCredentialResponse): VerifyResult {
  const { valid, code, kind, key, tokenId, rateLimits, revision, age } = answer;
  return {
    valid,
    // A code of a newer server keeps its number: whoever tolerates it treats it as a refusal.
    code: nameOf(CodePb, code) as VerificationCode,
    ...(kind !== KindPb.UNSPECIFIED && { kind: nameOf(KindPb, kind) as NonNullable<VerifyResult["kind"]> }),
    ...(key && {
      ...{ keyId: key.id, ownerId: key.ownerId, tenantId: key.tenantId, scopes: key.scopes, labels: key.labels },
      ...(key.metadata && { metadata: key.metadata }),
      ...dated("expireTime", key.expireTime),
    }),
    ...(tokenId !== "" && { tokenId }),
    ...(rateLimits.length > 0 && { rateLimits: rateLimits.map(rateLimitLeftOf) }),
    revision,
    age: Number(age?.seconds ?? 0) + (age?.nanos ?? 0) / 1e9,
  };
}

function rateLimitLeftOf({ name, limit, remaining, resetTime, retryTime }: RateLimitState): RateLimitLeft {
  return {
    ...{ name, limit: Number(limit), remaining: Number(remaining) },
    ...dated("resetTime", resetTime),
    ...dated("retryTime", retryTime),
  };
}

function dated<const N extends string>(name: N, time: Timestamp | undefined): { readonly [K in N]?: Date } {
  const timeMs = time && fromTimestamp(time);
  return timeMs === undefined ? {} : ({ [name]: new Date(timeMs) } as { readonly [K in N]: Date });
}
