import { answerBytes, requestFrame } from "../targets/frames.mjs";
import { verifyRequest } from "../targets/keys.mjs";

const path = "/ichor.v1.AdminService/VerifyCredential";
const as = (caller) => ({ authorization: `Bearer ${caller}` });

/** VerifyCredential as Connect JSON over HTTP/1.1, the keys in turn; what a target told is given. */
export function verifyOverHttp1({ port, caller, credentials }, changes = {}) {
  return {
    kind: "http1",
    port,
    path,
    headers: { "content-type": "application/json", ...as(caller) },
    requests: credentials.map((credential) => JSON.stringify({ ...verifyRequest(credential), ...changes })),
    connections: 16,
    expected: '"valid":true',
  };
}

/** The same over gRPC, one connection with 16 streams. */
export function verifyOverGrpc({ port, caller, credentials, answer }) {
  return {
    kind: "grpc",
    port,
    path,
    headers: { "content-type": "application/grpc+proto", ...as(caller) },
    frames: credentials.map(requestFrame),
    connections: 1,
    streams: 16,
    // The age of the answer, and so its length, differs from answer to answer.
    leastBytes: answerBytes({ ...answer, age: "0s" }).length,
  };
}
