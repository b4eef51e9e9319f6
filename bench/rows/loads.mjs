import { answerBytes, requestFrame } from "../targets/frames.mjs";
import { verifyRequest } from "../targets/keys.mjs";

const path = "/ichor.v1.AdminService/VerifyCredential";
const as = (caller) => ({ authorization: `Bearer ${caller}` });

/** VerifyCredential as Connect JSON over HTTP/1.1, the keys in turn; what a target told is given. */
export function verifyOverHttp1({ port, socketPath, caller, credentials }, changes = {}) {
  return {
    kind: "http1",
    ...{ port, socketPath },
    path,
    headers: { "content-type": "application/json", ...as(caller) },
    requests: credentials.map((credential) => JSON.stringify({ ...verifyRequest(credential), ...changes })),
    connections: 16,
    expected: '"valid":true',
  };
}

/** The same over gRPC, one connection with 16 streams. */
export function verifyOverGrpc({ port, socketPath, caller, credentials, answer }) {
  return {
    kind: "grpc",
    ...{ port, socketPath },
    path,
    headers: { "content-type": "application/grpc+proto", ...as(caller) },
    frames: credentials.map(requestFrame),
    connections: 1,
    streams: 16,
    // The age of the answer, and so its length, differs from answer to answer.
    leastBytes: answerBytes({ ...answer, age: "0s" }).length,
  };
}

const audience = "https://api.example";
const derivation = "/ichor.v1.DerivationService";
const json = { "content-type": "application/json" };
const form = { "content-type": "application/x-www-form-urlencoded" };
const shared = { kind: "http1", connections: 16 };

/** DeriveToken by the holder of a key, as Connect JSON over HTTP/1.1. */
export function deriveOverHttp1({ port, credentials: [credential] }) {
  const request = { format: "TOKEN_FORMAT_JWT", audiences: [audience], scopes: ["invoices:read"], ttl: "900s" };
  return {
    ...shared,
    port,
    path: `${derivation}/DeriveToken`,
    headers: { ...json, ...as(credential) },
    requests: [JSON.stringify(request)],
    expected: '"token":"ey',
  };
}

/** VerifyToken of the one token that the target told. */
export function verifyTokenOverHttp1({ port, caller, token }) {
  return {
    ...shared,
    port,
    path: `${derivation}/VerifyToken`,
    headers: { ...json, ...as(caller) },
    requests: [JSON.stringify({ credential: token, requiredScopes: ["invoices:read"], audience })],
    expected: '"valid":true',
  };
}

/** What oidc-provider has for DeriveToken: a token for client credentials (RFC 6749 section 4.4). */
export function issueOverHttp1({ port, authorization }) {
  const requests = ["grant_type=client_credentials&scope=invoices%3Aread"];
  return { ...shared, port, path: "/token", headers: { ...form, authorization }, requests, expected: "access_token" };
}

/** And for VerifyToken (RFC 7662). */
export function introspectOverHttp1({ port, authorization, token }) {
  const requests = [`token=${encodeURIComponent(token)}`];
  const path = "/token/introspection";
  return { ...shared, port, path, headers: { ...form, authorization }, requests, expected: '"active":true' };
}
