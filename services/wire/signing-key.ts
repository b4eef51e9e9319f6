import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  SigningAlgorithm,
  type SigningKeySchema,
  SigningKeyState as SigningKeyStatePb,
} from "../../gen/ichor/v1/signing_key_pb.ts";
import type { JwtAlgorithm } from "../core/jwt/algorithms.ts";
import type { SigningKey, SigningKeyState } from "../core/signing-key.ts";
import { toTimestamp } from "./time.ts";

const algorithms: Readonly<Record<JwtAlgorithm, SigningAlgorithm>> = {
  EdDSA: SigningAlgorithm.EDDSA,
  ES256: SigningAlgorithm.ES256,
  RS256: SigningAlgorithm.RS256,
};
const states: Readonly<Record<SigningKeyState, SigningKeyStatePb>> = SigningKeyStatePb;

export function algorithmToProto(algorithm: JwtAlgorithm): SigningAlgorithm {
  return algorithms[algorithm];
}

/** The domain's algorithm; undefined for an unset or unknown number. */
export function algorithmFromProto(value: SigningAlgorithm): JwtAlgorithm | undefined {
  return (Object.keys(algorithms) as JwtAlgorithm[]).find((name) => algorithms[name] === value);
}

/** A signing key as told to callers: its private part is elsewhere. */
export function signingKeyToProto(key: SigningKey): MessageInitShape<typeof SigningKeySchema> {
  return {
    id: key.id,
    kid: key.kid,
    algorithm: algorithms[key.algorithm],
    state: states[key.state],
    publicJwk: { ...key.publicJwk },
    createTime: toTimestamp(key.createTimeMs),
    activateTime: toTimestamp(key.activateTimeMs),
    retireTime: toTimestamp(key.retireTimeMs),
    removeTime: toTimestamp(key.removeTimeMs),
  };
}
