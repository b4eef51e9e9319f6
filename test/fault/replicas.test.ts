import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createVerifier } from "../../services/verifier/create-verifier.ts";
import { callJson, reasonOf } from "../support/calls.ts";
import { createTestDatabase, type TestDatabase } from "../support/databases.ts";
import { killRounds } from "../support/kill-rounds.ts";
import { requirement } from "../support/requirements.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";

const postgres = await requirement("postgres");
const mariadb = await requirement("mariadb");
const redis = await requirement("redis");

postgres.describe("with a PostgreSQL server", (url) => describeReplicas("PostgreSQL, woken by NOTIFY", url, 5432, {}));
mariadb.describe("with a MariaDB server", (url) => {
  redis.describe("and Redis", (redisUrl) =>
    describeReplicas("MariaDB, woken by Redis", url, 3306, { ICHOR_REDIS_URL: redisUrl }),
  );
});

const audience = "https://api.example";
const rounds = killRounds(2);

function describeReplicas(name: string, serverUrl: string, defaultPort: number, env: Record<string, string>): void {
  describe(`two servers on ${name}`, () => {
    const folder = temporaryFolder("replicas");
    let database: TestDatabase;
    let proxy: TcpProxy;
    let a: ServerProcess;
    let b: ServerProcess;

    /** Behind a proxy, so that a test can take the database away. */
    const start = () => {
      const url = new URL(database.url);
      url.hostname = "127.0.0.1";
      url.port = String(proxy.port);
      const masterKeyFile = join(folder.path, "shared.key");
      return startServer({
        dataDir: folder.path,
        env: {
          ICHOR_DATABASE_URL: url.href,
          ICHOR_MASTER_KEY_FILE: masterKeyFile,
          ICHOR_PUBLIC_URL: "https://keys.example",
          ...env,
        },
      });
    };

    beforeAll(async () => {
      database = await createTestDatabase(serverUrl);
      const { hostname, port } = new URL(serverUrl);
      proxy = await startTcpProxy({ host: hostname, port: Number(port || defaultPort) });
      writeFileSync(join(folder.path, "shared.key"), `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
      // One after the other only because the credential file that both read is the first one's to write.
      a = await start();
      b = await start();
    });
    afterAll(async () => {
      await Promise.all([a?.stop(), b?.stop()]);
      await proxy?.end();
      await database?.drop();
      folder.remove();
    });

    const admin = (server: ServerProcess, method: string, body: unknown) =>
      callJson(server.url, `AdminService/${method}`, a.rootCredential, body);
    const issue = async (server: ServerProcess) => {
      const { status, body } = await admin(server, "IssueApiKey", { name: "k" });
      expect(status).toBe(200);
      return { keyId: body.apiKey.id as string, credential: body.credential as string };
    };
    const codeAt = async (server: ServerProcess, credential: string, minRevision = "0") => {
      const { status, body } = await admin(server, "VerifyCredential", { credential, minRevision });
      expect(status).toBe(200);
      return body.code as string;
    };

    it("know each other's keys and revocations: at once by their revision, and soon without", async () => {
      for (const [one, other] of [
        [a, b],
        [b, a],
      ] as const) {
        const { keyId, credential } = await issue(one);
        expect(await codeAt(other, credential)).toBe("VERIFICATION_CODE_VALID");
        const { body } = await admin(one, "RevokeApiKey", { keyId });
        expect(await codeAt(other, credential, body.revision)).toBe("VERIFICATION_CODE_REVOKED");

        const second = await issue(one);
        expect(await codeAt(other, second.credential)).toBe("VERIFICATION_CODE_VALID");
        await admin(one, "RevokeApiKey", { keyId: second.keyId });
        while ((await codeAt(other, second.credential)) === "VERIFICATION_CODE_VALID");
      }
    });

    it("answer a revocation with wait once the other server and a verifier that follows it refuse the key", async () => {
      const scopes = ["ichor:keyset:watch", `ichor:verify:aud:${audience}`];
      const service = await admin(a, "IssueApiKey", { name: "service", scopes });
      const verifier = createVerifier({ url: b.url, audience, credential: service.body.credential });
      await verifier.ready();
      for (let i = 0; i < 3; i++) {
        const { keyId, credential } = await issue(a);
        const request = { audiences: [audience], format: "TOKEN_FORMAT_JWT" };
        const { body } = await callJson(a.url, "DerivationService/DeriveToken", credential, request);
        expect((await verifier.verify(body.token)).code).toBe("VALID");
        expect(await codeAt(b, credential)).toBe("VERIFICATION_CODE_VALID");
        const revoked = await admin(a, "RevokeApiKey", { keyId, wait: "10s" });
        expect(revoked.body).toMatchObject({ appliedEverywhere: true });
        expect((await verifier.verify(body.token)).code).toBe("REVOKED");
        expect(await codeAt(b, credential)).toBe("VERIFICATION_CODE_REVOKED");
      }
      await verifier.close();
    });

    it("repeat each other's answers, and do a repeated request once", async () => {
      const request = { name: "once", requestId: "r-1" };
      const answers = await Promise.all([a, b, a, b].map((server) => admin(server, "IssueApiKey", request)));
      expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
      expect(new Set(answers.map(({ body }) => body.credential)).size).toBe(1);
    });

    it("say that they don't know while the database is gone, and work without a restart when it is back", async () => {
      const { credential } = await issue(a);
      proxy.close();
      const refused = await admin(a, "IssueApiKey", { name: "k" });
      expect(refused.status).toBe(503);
      expect(reasonOf(refused)).toBe("STORE_UNAVAILABLE");
      proxy.restore();
      for (const server of [a, b]) {
        while ((await admin(server, "IssueApiKey", { name: "k" })).status === 503);
        expect(await codeAt(server, credential)).toBe("VERIFICATION_CODE_VALID");
      }
      expect(a.log.join("\n") + b.log.join("\n")).not.toContain(a.rootCredential);
    });

    it("answer by a call's deadline, however slow the database is", async () => {
      const { credential } = await issue(a);
      proxy.stall();
      const calls = ["IssueApiKey", "VerifyCredential"].map((method) =>
        callJson(
          a.url,
          `AdminService/${method}`,
          a.rootCredential,
          method === "IssueApiKey" ? { name: "k" } : { credential, noCache: true },
          { "connect-timeout-ms": "300" },
        ),
      );
      const answers = await Promise.all(calls);
      expect(answers.map(reasonOf)).toEqual(["DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"]);
      proxy.restore();
      while ((await admin(a, "IssueApiKey", { name: "k" })).status === 503);
      expect(await codeAt(a, credential)).toBe("VERIFICATION_CODE_VALID");
    });

    it(`lose nothing that was acknowledged when one of them is killed, ${rounds} times`, async () => {
      const acknowledged: { keyId: string; credential: string }[] = [];
      for (let round = 0; round < rounds; round++) {
        const before = acknowledged.length;
        let killed: Promise<void> | undefined;
        const client = async (server: ServerProcess) => {
          for (let i = 0; killed === undefined || server === a; i++) {
            const answer = await admin(server, "IssueApiKey", { name: `k${i}` }).catch(() => undefined);
            if (answer === undefined) return;
            if (answer.status === 200) {
              acknowledged.push({ keyId: answer.body.apiKey.id, credential: answer.body.credential });
            }
            if (acknowledged.length >= before + 40) killed ??= a.kill();
          }
        };
        await Promise.all([a, a, a, b, b, b].map(client));
        await killed;
        a = await start();
      }
      for (let at = 0; at < acknowledged.length; at += 100) {
        const batch = acknowledged.slice(at, at + 100);
        const requests = batch.map(({ credential }) => ({ credential }));
        const { body } = await admin(b, "BatchVerifyCredentials", { requests });
        expect(body.responses.map((response: { key?: { id: string } }) => response.key?.id)).toEqual(
          batch.map(({ keyId }) => keyId),
        );
      }
    });
  });
}
