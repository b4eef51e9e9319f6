import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { TokenFormat } from "../../gen/ichor/v1/api_key_pb.ts";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { feedKeyId } from "../../services/core/key-set/feed-key.ts";
import { type RunningCommand, startIchor } from "../support/command-line.ts";
import { LineProcess } from "../support/line-process.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";
import { readWatch } from "../support/watch.ts";

const audience = "https://api.example";
const issuer = "https://keys.example";
const verifiersPerRelay = 100;
const maxStaleness = 6;

interface Answer {
  readonly codes: readonly string[];
  readonly connected: number;
  readonly revision: string;
  readonly resyncs: number;
  readonly disconnected: number;
}
type Verifiers = LineProcess<Answer>;
interface Relay {
  readonly command: RunningCommand;
  readonly url: string;
}

const folder = temporaryFolder("relays");
let server: ServerProcess;
let scopedCredential: string;
const relays: Relay[] = [];
/** Behind a relay that follows another one. */
let second: Relay;
const started: RunningCommand[] = [];
const many: Verifiers[] = [];
let one: Verifiers;

const connection = () => createConnectTransport({ baseUrl: server.url, httpVersion: "2" });
const headers = () => ({ authorization: `Bearer ${server.rootCredential}` });
const admin = () => createClient(AdminService, connection());
const issue = async (name: string, ...scopes: string[]) =>
  admin().issueApiKey({ name, scopes }, { headers: headers() });

async function startRelay(upstream: string, i: number): Promise<Relay> {
  const credentialFile = join(folder.path, `relay-${i}.key`);
  const { credential } = await issue(
    `relay ${i}`,
    "ichor:keyset:watch",
    "ichor:keys:verify",
    `ichor:verify:aud:${audience}`,
  );
  writeFileSync(credentialFile, credential, { mode: 0o600 });
  const places = ["--listen", "127.0.0.1:0", "--relay-listen", "127.0.0.1:0"];
  const command = startIchor(
    ["sidecar", "--upstream", upstream, "--credential-file", credentialFile, "--audience", audience, ...places].concat([
      "--max-staleness",
      `${maxStaleness}s`,
    ]),
    { cwd: folder.path, env: {} },
  );
  started.push(command);
  const url: string = JSON.parse(await command.line((line) => line.includes('"listening"'))).relay;
  await vi.waitFor(async () => expect((await fetch(`${url}/readyz`)).status).toBe(200), 20_000);
  return { command, url };
}

function startVerifiers(count: number, ...url: string[]): Promise<Verifiers> {
  const pinned = { feedKeys: [pin], issuer };
  const options = { count, url, credential: scopedCredential, audience, maxStaleness, ...pinned };
  return LineProcess.start<Answer>("./verifiers-process.mjs", options);
}

let pin: string;
beforeAll(async () => {
  server = await startServer({ dataDir: join(folder.path, "server"), env: { ICHOR_PUBLIC_URL: issuer } });
  scopedCredential = (await issue("services", "ichor:keyset:watch", `ichor:verify:aud:${audience}`)).credential;
  const gone = new AbortController();
  const stream = createClient(DerivationService, connection()).watchKeySet(
    { maxStaleness: { seconds: 1n, nanos: 0 } },
    { headers: headers(), signal: gone.signal },
  );
  const watch = readWatch(stream, () => gone.abort(new Error("the key is known")));
  pin = feedKeyId((await watch.until("feedKeys")).keys[0]?.publicKey ?? new Uint8Array());
  watch.close();
  relays.push(...(await Promise.all([0, 1, 2].map((i) => startRelay(server.url, i)))));
  second = await startRelay(relays[0]?.url ?? "", 3);
  const urls = relays.map(({ url }) => url);
  const turned = (i: number) => [...urls.slice(i), ...urls.slice(0, i), server.url];
  many.push(...(await Promise.all([0, 1, 2].map((i) => startVerifiers(verifiersPerRelay, ...turned(i))))));
  one = await startVerifiers(1, second.url);
});
afterAll(async () => {
  for (const each of [...many, one]) await each?.stop();
  for (const command of started) await command.kill();
  await server?.stop();
  folder.remove();
});

async function keyWithToken() {
  const { apiKey, credential } = await issue("k", "a");
  const { token } = await createClient(DerivationService, connection()).deriveToken(
    { format: TokenFormat.JWT, audiences: [audience], scopes: ["a"] },
    { headers: { authorization: `Bearer ${credential}` } },
  );
  return { keyId: apiKey?.id ?? "", token };
}

function revoke(keyId: string, waitSeconds: number) {
  return admin().revokeApiKey({ keyId, wait: { seconds: BigInt(waitSeconds), nanos: 0 } }, { headers: headers() });
}

async function everyone(question: object): Promise<readonly Answer[]> {
  return Promise.all([...many, one].map((each) => each.ask(question)));
}

async function codesOf(token: string): Promise<readonly string[]> {
  return [...new Set((await everyone({ verify: token })).flatMap(({ codes }) => codes))];
}

describe("a server, three relays, one behind another, and 301 verifiers that believe the server's feed key", () => {
  it("has all refuse a token once a revocation that waits was answered; the server knows its relays alone", async () => {
    const { keyId, token } = await keyWithToken();
    await expect.poll(() => codesOf(token), { timeout: 10_000 }).toEqual(["VALID"]);
    const { appliedEverywhere } = await revoke(keyId, 30);
    expect(appliedEverywhere).toBe(true);
    expect(await codesOf(token)).toEqual(["REVOKED"]);
    const { subscribers } = await admin().listSubscribers({}, { headers: headers() });
    const connected = subscribers.filter(({ serverId }) => serverId !== "");
    expect(connected.filter(({ clientVersion }) => clientVersion === "ichor relay")).toHaveLength(3);
    expect(connected.length).toBeLessThan(verifiersPerRelay);
  });

  it("doesn't claim it while one verifier behind two relays is stopped, and does when that goes on", async () => {
    const { keyId, token } = await keyWithToken();
    one.pause();
    const { appliedEverywhere, laggards } = await revoke(keyId, 2);
    one.goOn();
    expect(appliedEverywhere).toBe(false);
    expect(laggards.length).toBeGreaterThan(0);
    expect((await revoke((await keyWithToken()).keyId, 30)).appliedEverywhere).toBe(true);
    expect(await codesOf(token)).toEqual(["REVOKED"]);
  });

  it("loses nothing when a relay is killed: who followed it goes on elsewhere, and is counted until it does", async () => {
    const { keyId, token } = await keyWithToken();
    await expect.poll(() => codesOf(token), { timeout: 10_000 }).toEqual(["VALID"]);
    await relays[1]?.command.kill();
    const { revision, appliedEverywhere } = await revoke(keyId, 30);
    expect(appliedEverywhere).toBe(true);
    // Whatever those say who were cut off: not that it is valid.
    expect(await codesOf(token)).not.toContain("VALID");
    const least = async () => (await everyone({ status: true })).map((each) => BigInt(each.revision)).sort()[0];
    await expect.poll(least, { timeout: 40_000 }).toBeGreaterThanOrEqual(revision);
    await expect.poll(() => codesOf(token), { timeout: 40_000 }).toEqual(["REVOKED"]);
    const moved = async () => (await everyone({ status: true }))[1];
    await expect.poll(async () => (await moved())?.connected, { timeout: 40_000 }).toBe(verifiersPerRelay);
    expect((await moved())?.disconnected).toBeGreaterThanOrEqual(verifiersPerRelay);
  });
});
