import { fromJson, toBinary } from "@bufbuild/protobuf";
import {
  VerifyCredentialRequestSchema,
  VerifyCredentialResponseSchema,
} from "../../dist/gen/ichor/v1/verification_pb.js";
import { verifyRequest } from "./keys.mjs";

/** A message in gRPC's envelope. */
export function frameOf(bytes) {
  const frame = Buffer.alloc(5 + bytes.length);
  frame.writeUInt32BE(bytes.length, 1);
  frame.set(bytes, 5);
  return frame;
}

/** The request about a credential, and an answer that was told as JSON, as gRPC sends them. */
export function requestFrame(credential) {
  return frameOf(
    toBinary(VerifyCredentialRequestSchema, fromJson(VerifyCredentialRequestSchema, verifyRequest(credential))),
  );
}

export function answerBytes(answer) {
  return toBinary(VerifyCredentialResponseSchema, fromJson(VerifyCredentialResponseSchema, answer));
}
