import { cpSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callJson, reasonOf } from "../support/calls.ts";
import { type RunningCommand, runIchor, startIchor } from "../support/command-line.ts";
import { freePort } from "../support/free-port.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";
import { startTcpProxy } from "../support/tcp-proxy.ts";

const folder = temporaryFolder("sidecar-faults");
const dataDir = join(folder.path, "server");
const env: Record<string, string> = {};
let server: ServerProcess;
let sidecar: RunningCommand;
let url: string;
let metricsUrl: string;

const verify = (credential: string) => callJson(url, "AdminService/VerifyCredential", undefined, { credential });
const codeOf = async (credential: string) => (await verify(credential)).body.code;
async function issue(scopes: readonly string[] = ["a"]): Promise<string> {
  const { body } = await callJson(server.url, "AdminService/IssueApiKey", server.rootCredential, { name: "k", scopes });
  return body.credential;
}

async function start(upstream = server.url): Promise<void> {
  const credentialFile = join(folder.path, "sidecar.key");
  const flags = ["--upstream", upstream, "--credential-file", credentialFile, "--listen", "127.0.0.1:0"];
  flags.push("--metrics-listen", "127.0.0.1:0");
  sidecar = startIchor(["sidecar", ...flags], { cwd: folder.path, env: {} });
  ({ address: url, metrics: metricsUrl } = JSON.parse(await sidecar.line((line) => line.includes('"listening"'))));
  // From then on answers are kept.
  await expect.poll(async () => (await fetch(`${url}/readyz`)).status, { timeout: 10_000 }).toBe(200);
}

beforeAll(async () => {
  env.ICHOR_LISTEN = `127.0.0.1:${await freePort()}`;
  server = await startServer({ dataDir, env });
  const own = await issue(["ichor:keyset:watch", "ichor:keys:verify"]);
  writeFileSync(join(folder.path, "sidecar.key"), own, { mode: 0o600 });
});
afterAll(async () => {
  await server.stop();
  folder.remove();
});

describe("a side-car whose server doesn't answer", () => {
  it("answers what it knows at once, says of the rest that it can't tell, and ends with what is under way", async () => {
    await start();
    const [known, unknown, last] = [await issue(), await issue(), await issue()];
    expect(await codeOf(known)).toBe("VERIFICATION_CODE_VALID");
    process.kill(server.pid, "SIGSTOP");
    try {
      const asked = verify(unknown);
      expect(await codeOf(known)).toBe("VERIFICATION_CODE_VALID");
      // As long as a question may take.
      const { status, ...told } = await asked;
      expect([status, reasonOf({ status, ...told })]).toEqual([503, "UPSTREAM_UNAVAILABLE"]);
      const underWay = verify(last);
      await sidecar.line((line) => line.includes("doesn't answer"));
      const metrics = async () => (await fetch(metricsUrl)).text();
      await expect.poll(metrics, { timeout: 10_000 }).toContain("\nichor_upstream_waiting 1\n");
      const ended = sidecar.interrupt();
      await sidecar.line((line) => line.includes("draining"));
      process.kill(server.pid, "SIGCONT");
      // If it took too long to get here, that it can't be told is an answer, too.
      expect([200, 503]).toContain((await underWay).status);
      expect(await ended).toEqual({ status: 0, stderr: "" });
    } finally {
      process.kill(server.pid, "SIGCONT");
    }
  });
});

describe("a side-car whose server was restored from a backup", () => {
  it("drops what it has kept of the other history, and goes on with this one", async () => {
    expect(await server.stop()).toBe(0);
    const copy = join(folder.path, "copy");
    cpSync(dataDir, copy, { recursive: true });
    server = await startServer({ dataDir, env });
    await start();
    const lost = await issue();
    for (let i = 0; i < 5; i++) await issue();
    expect(await codeOf(lost)).toBe("VERIFICATION_CODE_VALID");
    expect(await server.stop()).toBe(0);
    expect(await codeOf(lost)).toBe("VERIFICATION_CODE_VALID");

    rmSync(dataDir, { recursive: true });
    cpSync(copy, dataDir, { recursive: true });
    const renewed = runIchor(["store", "new-epoch"], { cwd: folder.path, env: { ICHOR_DATA_DIR: dataDir } });
    expect(renewed).toMatchObject({ status: 0, stdout: expect.stringMatching(/^new store epoch/) });
    server = await startServer({ dataDir, env });
    // Without a restart of the side-car, whose revision was higher than the store's is now.
    await expect.poll(() => codeOf(lost), { timeout: 30_000, interval: 100 }).toBe("VERIFICATION_CODE_NOT_FOUND");
    expect(await codeOf(await issue())).toBe("VERIFICATION_CODE_VALID");
    expect((await sidecar.interrupt()).status).toBe(0);
  }, 60_000);
});

describe("a side-car whose connection to the server is dead without an end", () => {
  it("follows, and asks, by another one within seconds", async () => {
    const proxy = await startTcpProxy({ host: "127.0.0.1", port: Number(new URL(server.url).port) });
    await start(`http://127.0.0.1:${proxy.port}`);
    const [known, later] = [await issue(), await issue()];
    expect(await codeOf(known)).toBe("VERIFICATION_CODE_VALID");
    const admin = (method: string, body: object) =>
      callJson(server.url, `AdminService/${method}`, server.rootCredential, body);
    const { body } = await admin("VerifyCredential", { credential: known });

    proxy.stallOpen();
    await admin("RevokeApiKey", { keyId: body.key.id });
    // TCP alone would take a quarter of an hour. Until then the answer is from memory, within the bound of age.
    await expect.poll(() => codeOf(known), { timeout: 40_000, interval: 100 }).toBe("VERIFICATION_CODE_REVOKED");
    proxy.stallOpen();
    await expect.poll(() => codeOf(later), { timeout: 40_000 }).toBe("VERIFICATION_CODE_VALID");
    expect((await sidecar.interrupt()).status).toBe(0);
    await proxy.end();
  }, 100_000);
});
