import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createVerifier } from "../../services/verifier/create-verifier.ts";
import { callJson } from "../support/calls.ts";
import { createTestDatabase } from "../support/databases.ts";
import { requirement } from "../support/requirements.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const workers = 2;
const audience = "https://api.example";
const postgres = await requirement("postgres");

describeWorkers("on SQLite", async () => ({ env: {}, drop: async () => {} }));
postgres.describe("with a PostgreSQL server", (serverUrl) =>
  describeWorkers("on PostgreSQL", async (folder) => {
    const database = await createTestDatabase(serverUrl);
    const masterKeyFile = join(folder, "given.key");
    writeFileSync(masterKeyFile, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
    const env = { ICHOR_DATABASE_URL: database.url, ICHOR_MASTER_KEY_FILE: masterKeyFile };
    return { env, drop: () => database.drop() };
  }),
);

interface TestStore {
  readonly env: Readonly<Record<string, string>>;
  drop(): Promise<void>;
}

function describeWorkers(name: string, makeStore: (folder: string) => Promise<TestStore>): void {
  describe(`a server of ${workers} workers ${name}`, () => {
    const folder = temporaryFolder("workers");
    let store: TestStore;
    let server: ServerProcess;
    beforeAll(async () => {
      store = await makeStore(folder.path);
      server = await startServer({
        dataDir: folder.path,
        env: { ...store.env, ICHOR_PUBLIC_URL: "https://keys.example", ICHOR_METRICS_LISTEN: "127.0.0.1:0" },
        args: ["--workers", String(workers)],
      });
    });
    afterAll(async () => {
      await server?.kill();
      await store?.drop();
      folder.remove();
    });

    const admin = (method: string, body: unknown) =>
      callJson(server.url, `AdminService/${method}`, server.rootCredential, body);
    const issue = async () => {
      const { status, body } = await admin("IssueApiKey", { name: "k", scopes: ["a"] });
      expect(status).toBe(200);
      return { keyId: body.apiKey.id as string, credential: body.credential as string };
    };

    const metricsUrl = () => /"metrics":"([^"]+)"/.exec(server.log.join("\n"))?.[1] ?? "";

    it("answers as one, whichever of them a connection meets", async () => {
      const lines = Array.from({ length: 6 }, () => oneConnection(server));
      const { keyId, credential } = await issue();
      const verify = (minRevision = "0") =>
        Promise.all(lines.map((line) => line.call("VerifyCredential", { credential, minRevision })));
      const codes = (answers: { code: string }[]) => new Set(answers.map(({ code }) => code));
      expect(codes(await verify())).toEqual(new Set(["VERIFICATION_CODE_VALID"]));
      const { body } = await admin("DisableApiKey", { keyId });
      expect(codes(await verify(body.revision))).toEqual(new Set(["VERIFICATION_CODE_DISABLED"]));

      const second = await issue();
      const codesOfSecond = async () =>
        codes(await Promise.all(lines.map((line) => line.call("VerifyCredential", { credential: second.credential }))));
      expect(await codesOfSecond()).toEqual(new Set(["VERIFICATION_CODE_VALID"]));
      await admin("RevokeApiKey", { keyId: second.keyId });
      while ((await codesOfSecond()).has("VERIFICATION_CODE_VALID"));
      for (const line of lines) line.close();
    });

    it("counts uses under a limit together", async () => {
      const lines = Array.from({ length: 6 }, () => oneConnection(server));
      const limit = { name: "hourly", limit: "10", period: "3600s", burst: "10" };
      const { body } = await admin("IssueApiKey", { name: "k", rateLimits: [limit] });
      const uses = Array.from({ length: 30 }, (_, i) =>
        lines[i % lines.length]?.call("VerifyCredential", { credential: body.credential }),
      );
      const codes = (await Promise.all(uses)).map((answer) => answer?.code);
      expect(codes.filter((code) => code === "VERIFICATION_CODE_VALID")).toHaveLength(10);
      expect(codes.filter((code) => code === "VERIFICATION_CODE_RATE_LIMITED")).toHaveLength(20);
      for (const line of lines) line.close();
    });

    it("tells verifiers on all of them of a revocation, and waits for all of them", async () => {
      const { body: watcher } = await admin("IssueApiKey", {
        name: "verifier",
        scopes: ["ichor:keyset:watch", `ichor:verify:aud:${audience}`],
      });
      const verifiers = Array.from({ length: 4 }, () =>
        createVerifier({ url: server.url, audience, credential: watcher.credential }),
      );
      try {
        await Promise.all(verifiers.map((verifier) => verifier.ready()));
        const { keyId, credential } = await issue();
        const { body: derived } = await callJson(server.url, "DerivationService/DeriveToken", credential, {
          format: "TOKEN_FORMAT_JWT",
          audiences: [audience],
          scopes: ["a"],
        });
        const codes = () => Promise.all(verifiers.map(async (verifier) => (await verifier.verify(derived.token)).code));
        expect(await codes()).toEqual(verifiers.map(() => "VALID"));
        const { body: revoked } = await admin("RevokeApiKey", { keyId, wait: "10s" });
        expect(revoked.appliedEverywhere).toBe(true);
        expect(await codes()).toEqual(verifiers.map(() => "REVOKED"));
      } finally {
        await Promise.all(verifiers.map((verifier) => verifier.close()));
      }
    });

    it("loses nothing acknowledged when a worker is killed, and another takes its place", async () => {
      const before = childrenOf(server.pid);
      expect(before).toHaveLength(workers);
      const [victim = 0] = before;
      const acknowledged: string[] = [];
      let killed = false;
      const replaced = () => {
        const now = childrenOf(server.pid);
        return now.length === workers && !now.includes(victim);
      };
      const client = async () => {
        while (!killed || !replaced()) {
          const answer = await admin("IssueApiKey", { name: "k" }).catch(() => undefined);
          if (answer?.status === 200) acknowledged.push(answer.body.credential);
          if (acknowledged.length > 20 && !killed) {
            killed = true;
            process.kill(victim, "SIGKILL");
          }
        }
      };
      await Promise.all([client(), client(), client(), client()]);
      const answers = await Promise.all(acknowledged.map((credential) => admin("VerifyCredential", { credential })));
      expect(answers.filter(({ body }) => body.valid !== true)).toEqual([]);
      expect(server.log.filter((line) => line.includes("a worker has ended"))).toHaveLength(1);
    });

    it("ends the connection that a worker was given and hadn't taken when it was killed", async () => {
      const [victim = 0] = childrenOf(server.pid);
      const connections = 8;
      let ended = 0;
      process.kill(victim, "SIGSTOP");
      for (let i = 0; i < connections; i++) {
        const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
        socket.end("GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        socket.on("error", () => {}).on("close", () => ended++);
        socket.resume();
      }
      const untilEnded = async (count: number) => {
        while (ended < count) await new Promise((resolve) => setImmediate(resolve));
      };
      // A worker gets the next one when it has taken the one before.
      await untilEnded(connections - 1);
      process.kill(victim, "SIGKILL");
      await untilEnded(connections);
      while (childrenOf(server.pid).includes(victim) || childrenOf(server.pid).length < workers)
        await new Promise((resolve) => setImmediate(resolve));
    });

    it("tells that hints are heard by all of them", async () => {
      const heard = async () => /^ichor_wake_ups_connected 1$/m.test(await (await fetch(metricsUrl())).text());
      while (!(await heard()));
    });

    it("tells the metrics of all together, and still counts what a worker did that is no more", async () => {
      const issued = async () => {
        const text = await (await fetch(metricsUrl())).text();
        const count = /^rpc_server_call_duration_count\{[^}]*IssueApiKey"[^}]*code="OK"[^}]*\} (\d+)$/m.exec(text);
        return Number(count?.[1] ?? 0);
      };
      const before = await issued();
      const lines = Array.from({ length: 6 }, () => oneConnection(server));
      await Promise.all(lines.map((line) => line.call("IssueApiKey", { name: "k" })));
      for (const line of lines) line.close();
      expect(await issued()).toBe(before + 6);

      const [victim = 0] = childrenOf(server.pid);
      process.kill(victim, "SIGKILL");
      while (childrenOf(server.pid).includes(victim) || childrenOf(server.pid).length < workers)
        await new Promise((resolve) => setImmediate(resolve));
      expect(await issued()).toBe(before + 6);
    });

    it("reads its configuration again in all of them at SIGHUP", async () => {
      process.kill(server.pid, "SIGHUP");
      const reloads = () => server.log.filter((line) => line.includes("configuration reloaded"));
      while (reloads().length < workers + 1) await new Promise((resolve) => setImmediate(resolve));
    });

    it("ends with all its workers at SIGTERM, with status 0", async () => {
      const all = childrenOf(server.pid);
      expect(await server.stop()).toBe(0);
      expect(all.filter(isRunning)).toEqual([]);
      // Whole lines only, though several processes write them.
      for (const line of server.log) if (line.includes('"level"')) JSON.parse(line);
    });
  });
}

it("leaves no worker behind when the primary is killed", async () => {
  const folder = temporaryFolder("workers-orphaned");
  const server = await startServer({ dataDir: folder.path, args: ["--workers", String(workers)] });
  const all = childrenOf(server.pid);
  expect(all.length).toBeGreaterThan(0);
  await server.kill();
  while (all.some(isRunning)) await new Promise((resolve) => setImmediate(resolve));
  folder.remove();
});

it("says why and ends if no worker can listen", async () => {
  const folder = temporaryFolder("workers-in-use");
  const first = await startServer({ dataDir: join(folder.path, "first") });
  const { port } = new URL(first.url);
  const second = startServer({
    dataDir: join(folder.path, "second"),
    env: { ICHOR_LISTEN: `127.0.0.1:${port}` },
    args: ["--workers", String(workers)],
  });
  await expect(second).rejects.toThrow(/ended with 3[\s\S]*can't listen on 127\.0\.0\.1/);
  await first.stop();
  folder.remove();
});

/** A connection of its own to the server, kept alive. */
function oneConnection(server: ServerProcess) {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const call = (method: string, body: object) =>
    new Promise<{ code: string }>((resolve, reject) => {
      const headers = { "content-type": "application/json", authorization: `Bearer ${server.rootCredential}` };
      const url = `${server.url}/ichor.v1.AdminService/${method}`;
      request(url, { method: "POST", agent, headers }, (response) => {
        let text = "";
        response.on("data", (chunk) => {
          text += chunk;
        });
        response.on("end", () => resolve(JSON.parse(text)));
      })
        .on("error", reject)
        .end(JSON.stringify(body));
    });
  return { call, close: () => agent.destroy() };
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean).map(Number);
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}
