import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { formatIssuedKey, parseIssuedKey } from "../../services/core/credential.ts";
import { newId } from "../../services/core/ids.ts";
import { bufCurlClient } from "../support/clients/buf-curl.ts";
import type { ForeignClient, MakeClient } from "../support/clients/client.ts";
import { connectJsonClient } from "../support/clients/connect-json.ts";
import { grpcJsClient } from "../support/clients/grpc-js.ts";
import { pythonClient } from "../support/clients/python.ts";
import { requirement } from "../support/requirements.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("life");
let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ dataDir: folder.path });
});
afterAll(async () => {
  expect(await server?.stop()).toBe(0);
  folder.remove();
});

/** The whole life of a key, as any client sees it. */
function playsKeyLife(makeClient: MakeClient): void {
  it("plays the life of a key: issue, verify, forge, rotate, disable, enable, revoke, delete", {
    timeout: 120_000,
  }, async () => {
    const client = await makeClient(server.url, server.rootCredential);
    try {
      await keyLife(client);
    } finally {
      await client.close();
    }
  });
}

async function keyLife(client: ForeignClient): Promise<void> {
  const ok = async (method: string, body: object) => {
    const answer = await client.call(`AdminService/${method}`, body);
    if (answer.body === undefined) throw new Error(`${method}: ${answer.reason}`);
    return answer.body;
  };
  const codeOf = async (credential: string, demand: object = {}) => {
    const { code } = await ok("VerifyCredential", { credential, ...demand });
    return code.replace("VERIFICATION_CODE_", "");
  };

  const issued = await ok("IssueApiKey", { name: "ci", ownerId: "acme", scopes: ["invoices:*"], ttl: "2592000s" });
  const { credential } = issued;
  const keyId = issued.apiKey.id;
  expect(issued.apiKey).toMatchObject({
    status: "KEY_STATUS_ACTIVE",
    kind: "CREDENTIAL_KIND_ISSUED_KEY",
    prefix: "ichor_sk",
  });
  expect(credential).toMatch(/^ichor_sk_[0-9A-Za-z]{75}$/);
  expect(Number(issued.revision)).toBeGreaterThan(0);

  const verified = await ok("VerifyCredential", { credential, requiredScopes: ["invoices:read"] });
  expect(verified).toMatchObject({ valid: true, code: "VERIFICATION_CODE_VALID", kind: "CREDENTIAL_KIND_ISSUED_KEY" });
  expect(verified.key).toMatchObject({ id: keyId, ownerId: "acme", scopes: ["invoices:*"] });
  expect(await codeOf(credential, { requiredScopes: ["orders:read"] })).toBe("INSUFFICIENT_SCOPE");

  const last = credential.at(-1) === "0" ? "1" : "0";
  expect(await codeOf(credential.slice(0, -1) + last)).toBe("MALFORMED");

  const { prefix } = parseIssuedKey(credential) as NonNullable<ReturnType<typeof parseIssuedKey>>;
  const otherSecret = new Uint8Array(32).fill(7);
  const wrongSecret = await ok("VerifyCredential", { credential: formatIssuedKey(prefix, keyId, otherSecret) });
  const unknownId = newId("key", Date.now(), new Uint8Array(10).fill(9));
  const unknown = await ok("VerifyCredential", { credential: formatIssuedKey(prefix, unknownId, otherSecret) });
  expect(wrongSecret.code).toBe("VERIFICATION_CODE_NOT_FOUND");
  // But for the age of what the server knows, which moves with the clock.
  expect({ ...wrongSecret, age: undefined }).toEqual({ ...unknown, age: undefined });

  const rotated = await ok("RotateApiKey", { keyId, gracePeriod: "3600s" });
  expect(rotated.apiKey.id).toBe(keyId);
  expect(rotated.credential).not.toBe(credential);
  expect(await codeOf(credential)).toBe("VALID");
  expect(await codeOf(rotated.credential)).toBe("VALID");
  await ok("EndGracePeriod", { keyId });
  expect(await codeOf(credential)).toBe("REVOKED");
  const again = await ok("RotateApiKey", { keyId, gracePeriod: "0s" });
  expect(await codeOf(rotated.credential)).toBe("REVOKED");
  expect(await codeOf(again.credential)).toBe("VALID");

  await ok("DisableApiKey", { keyId });
  expect(await codeOf(again.credential)).toBe("DISABLED");
  await ok("EnableApiKey", { keyId });
  expect(await codeOf(again.credential)).toBe("VALID");
  expect(await client.call("AdminService/DeleteApiKey", { keyId })).toEqual({ reason: "KEY_STILL_LIVE" });

  const revoked = await ok("RevokeApiKey", {
    keyId,
    reason: "REVOCATION_REASON_KEY_COMPROMISE",
    comment: "seen in a log",
  });
  expect(revoked.apiKey.status).toBe("KEY_STATUS_REVOKED");
  expect(await codeOf(again.credential)).toBe("REVOKED");
  expect(await client.call("AdminService/EnableApiKey", { keyId })).toEqual({ reason: "KEY_REVOKED" });

  await ok("DeleteApiKey", { keyId });
  expect(await client.call("AdminService/GetApiKey", { keyId })).toEqual({ reason: "KEY_NOT_FOUND" });
  expect(await codeOf(again.credential)).toBe("NOT_FOUND");
}

describe("Connect JSON over HTTP/1.1", () => playsKeyLife(connectJsonClient));
describe("@grpc/grpc-js with stubs from the protos", () => playsKeyLife(grpcJsClient));
describe("buf curl by reflection v1, gRPC", () => playsKeyLife(bufCurlClient("grpc", "grpc-v1")));
describe("buf curl by reflection v1alpha, gRPC-Web", () => playsKeyLife(bufCurlClient("grpcweb", "grpc-v1alpha")));
const python = await requirement("python");
python.describe("Python's grpcio with stubs from the protos", (interpreter) => playsKeyLife(pythonClient(interpreter)));
