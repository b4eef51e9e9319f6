import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createVerifier } from "../../services/verifier/create-verifier.ts";
import "../support/build-dist.ts";
import { callJson } from "../support/calls.ts";
import { createTestDatabase } from "../support/databases.ts";
import { requirement } from "../support/requirements.ts";
import { startServer, temporaryFolder } from "../support/server-process.ts";

const audience = "https://api.example";
const preload = new URL("kill-before-notify.mjs", import.meta.url).href;

const postgres = await requirement("postgres");

postgres.describe("with a PostgreSQL server", (serverUrl) => {
  it("a revocation whose server is killed between its commit and its notification reaches all the same", async () => {
    const folder = temporaryFolder("kill-before-notify");
    const database = await createTestDatabase(serverUrl);
    const masterKeyFile = join(folder.path, "shared.key");
    writeFileSync(masterKeyFile, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
    const now = join(folder.path, "now");
    const shared = {
      ICHOR_DATABASE_URL: database.url,
      ICHOR_MASTER_KEY_FILE: masterKeyFile,
      ICHOR_PUBLIC_URL: "https://keys.example",
    };
    const start = (more = {}) => startServer({ dataDir: folder.path, env: { ...shared, ...more } });
    const other = await start();
    const killed = await start({ NODE_OPTIONS: `--import ${preload}`, KILL_BEFORE_NOTIFY: now });
    const admin = async (url: string, method: string, body: object, credential = other.rootCredential) =>
      (await callJson(url, method, credential, body)).body;
    const scopes = ["ichor:keyset:watch", `ichor:verify:aud:${audience}`];
    const service = await admin(other.url, "AdminService/IssueApiKey", { name: "service", scopes });
    const verifier = createVerifier({ url: other.url, audience, credential: service.credential });
    try {
      await verifier.ready();
      const { apiKey, credential } = await admin(other.url, "AdminService/IssueApiKey", { name: "k" });
      const request = { audiences: [audience], format: "TOKEN_FORMAT_JWT" };
      const { token } = await admin(other.url, "DerivationService/DeriveToken", request, credential);
      expect((await verifier.verify(token)).code).toBe("VALID");

      writeFileSync(now, "");
      // Whether its answer still comes doesn't matter.
      await admin(killed.url, "AdminService/RevokeApiKey", { keyId: apiKey.id }).catch(() => {});
      while (lives(killed.pid)) await pause();

      const code = async () => (await admin(other.url, "AdminService/VerifyCredential", { credential })).code;
      while ((await code()) === "VERIFICATION_CODE_VALID");
      expect(await code()).toBe("VERIFICATION_CODE_REVOKED");
      while ((await verifier.verify(token)).code === "VALID") await pause();
      expect((await verifier.verify(token)).code).toBe("REVOKED");
    } finally {
      await verifier.close();
      await Promise.all([other.stop(), killed.kill()]);
      await database.drop();
      folder.remove();
    }
  });
});

const pause = () => new Promise((resolve) => setTimeout(resolve, 20));

function lives(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
