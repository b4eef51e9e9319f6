import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { TokenFormat } from "../../gen/ichor/v1/api_key_pb.ts";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { freePort } from "../support/free-port.ts";
import { LineProcess } from "../support/line-process.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const audience = "https://api.example";
const maxStaleness = 6;
/** How many revocations are timed; ICHOR_TEST_REVOCATIONS sets another number. */
const revocations = Number(process.env.ICHOR_TEST_REVOCATIONS ?? 60);

const folder = temporaryFolder("verifier-process");
let port: number;
let server: ServerProcess;
let service: LineProcess<Answer>;
/** When a token that is watched was first refused. */
const refusals = new Map<string, number>();
const headers = () => ({ authorization: `Bearer ${server.rootCredential}` });
const admin = () => createClient(AdminService, createConnectTransport({ baseUrl: server.url, httpVersion: "2" }));

const start = () =>
  startServer({
    dataDir: folder.path,
    env: { ICHOR_LISTEN: `127.0.0.1:${port}`, ICHOR_PUBLIC_URL: "https://keys.example" },
  });

beforeAll(async () => {
  port = await freePort();
  server = await start();
  const { credential } = await admin().issueApiKey(
    { name: "service", scopes: ["ichor:keyset:watch", `ichor:verify:aud:${audience}`] },
    { headers: headers() },
  );
  const options = { url: server.url, credential, audience, maxStaleness };
  service = await LineProcess.start("./verifier-process.mjs", options, ({ refused, atMs }) => {
    refusals.set(String(refused), Number(atMs));
  });
});
afterAll(async () => {
  await service.stop();
  await server.stop();
  folder.remove();
});

async function keyWithToken() {
  const { apiKey, credential } = await admin().issueApiKey({ name: "k", scopes: ["a"] }, { headers: headers() });
  const { token } = await createClient(
    DerivationService,
    createConnectTransport({ baseUrl: server.url, httpVersion: "2" }),
  ).deriveToken(
    { format: TokenFormat.JWT, audiences: [audience], scopes: ["a"] },
    { headers: { authorization: `Bearer ${credential}` } },
  );
  return { keyId: apiKey?.id ?? "", token };
}

function refusalOf(token: string): Promise<number> {
  return vi.waitFor(
    () => {
      const atMs = refusals.get(token);
      if (atMs === undefined) throw new Error("it wasn't refused");
      return atMs;
    },
    { timeout: 30_000, interval: 2 },
  );
}

describe("a verifier in another process", () => {
  it("refuses a token as soon as its revocation is committed, many times over", async () => {
    const delaysMs: number[] = [];
    for (let i = 0; i < revocations; i++) {
      const { keyId, token } = await keyWithToken();
      expect((await service.ask({ verify: token })).code).toBe("VALID");
      await service.ask({ watch: token });
      // The commit lies somewhere within the call: this is more than what passes from it to the refusal.
      const sentMs = Date.now();
      await admin().revokeApiKey({ keyId }, { headers: headers() });
      delaysMs.push((await refusalOf(token)) - sentMs);
    }
    delaysMs.sort((a, b) => a - b);
    expect(delaysMs).toHaveLength(revocations);
    const at = (share: number) => delaysMs[Math.min(revocations - 1, Math.floor(revocations * share))];
    process.stdout.write(`call of RevokeApiKey → refused in another process: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms\n`);
  });

  it("goes on when the server is killed, tells its age, stops at maxStaleness, and is back without a gap", async () => {
    const kept = await keyWithToken();
    const ended = await keyWithToken();
    await server.kill();
    const meanwhile = await service.ask({ verify: kept.token });
    expect(meanwhile.code).toBe("VALID");
    await expect.poll(async () => (await service.ask({ status: true })).age, { timeout: 5_000 }).toBeGreaterThan(2.5);
    expect((await service.ask({ verify: kept.token })).code).toBe("VALID");
    const stale = async () => (await service.ask({ verify: kept.token })).unavailable;
    await expect.poll(stale, { timeout: 15_000, interval: 100 }).toBe("STALE");
    server = await start();
    const { revision } = await admin().revokeApiKey({ keyId: ended.keyId }, { headers: headers() });
    const known = async () => BigInt((await service.ask({ status: true })).revision ?? "0");
    await expect.poll(known, { timeout: 30_000, interval: 100 }).toBeGreaterThanOrEqual(revision);
    await expect.poll(async () => (await service.ask({ verify: kept.token })).code, { timeout: 10_000 }).toBe("VALID");
    expect((await service.ask({ verify: ended.token })).code).toBe("REVOKED");
  });
});

interface Answer {
  readonly id: number;
  readonly code?: string;
  readonly unavailable?: string;
  readonly age?: number;
  readonly revision?: string;
}
