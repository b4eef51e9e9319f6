import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, type TestContext } from "vitest";
import { callJson, reasonOf } from "../support/calls.ts";
import { createTestDatabase } from "../support/databases.ts";
import { startEmbeddedPostgres } from "../support/embedded-postgres.ts";
import { killRounds } from "../support/kill-rounds.ts";
import { type PrivateServer, startPrivateMariadb } from "../support/private-mariadb.ts";
import { requirement } from "../support/requirements.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const mariadb = await requirement("mariadb");

const rounds = killRounds(2);
const acknowledgementsMin = 30;
const title = (name: string) =>
  `loses no acknowledged key when ${name} itself is killed while keys are issued, ${rounds} times`;
const timeout = 60_000 + rounds * 20_000;

it(title("PostgreSQL"), { timeout }, async (context: TestContext) => {
  const postgres = await startEmbeddedPostgres().catch((error: Error) => context.skip(error.message));
  await keepsAllThrough(postgres);
});

mariadb.describe("with MariaDB installed", () => {
  it(title("MariaDB"), { timeout }, async () => {
    await keepsAllThrough(await startPrivateMariadb());
  });
});

async function keepsAllThrough(databaseServer: PrivateServer): Promise<void> {
  const folder = temporaryFolder("database-killed");
  const database = await createTestDatabase(databaseServer.url);
  const masterKeyFile = join(folder.path, "shared.key");
  writeFileSync(masterKeyFile, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
  const env = { ICHOR_DATABASE_URL: database.url, ICHOR_MASTER_KEY_FILE: masterKeyFile };
  const server = await startServer({ dataDir: folder.path, env });
  const issued: Issued[] = [];
  for (let round = 0; round < rounds; round++) await issueThroughCrash(server, databaseServer, issued);
  await verifyAll(server, issued);
  expect(await server.stop()).toBe(0);
  await databaseServer.stop();
  folder.remove();
}

interface Issued {
  readonly keyId: string;
  readonly credential: string;
}

/** Issues with some clients at once, kills the database in the middle, and goes on until each works again, without a restart. */
async function issueThroughCrash(
  server: ServerProcess,
  databaseServer: PrivateServer,
  issued: Issued[],
): Promise<void> {
  const enough = issued.length + acknowledgementsMin;
  let crashed: Promise<void> | undefined;
  let backMs = Number.POSITIVE_INFINITY;
  const client = async () => {
    for (;;) {
      const begunMs = performance.now();
      const answer = await callJson(server.url, "AdminService/IssueApiKey", server.rootCredential, { name: "k" });
      if (answer.status === 200) issued.push({ keyId: answer.body.apiKey.id, credential: answer.body.credential });
      else expect([answer.status, reasonOf(answer)]).toEqual([503, "STORE_UNAVAILABLE"]);
      if (answer.status === 200 && begunMs > backMs) return;
      if (issued.length >= enough) {
        crashed ??= databaseServer.crash().then(() => {
          backMs = performance.now();
        });
      }
    }
  };
  await Promise.all(Array.from({ length: 4 }, client));
  await crashed;
}

async function verifyAll(server: ServerProcess, issued: readonly Issued[]): Promise<void> {
  for (let at = 0; at < issued.length; at += 100) {
    const batch = issued.slice(at, at + 100);
    const requests = batch.map(({ credential }) => ({ credential, noCache: true }));
    const { body } = await callJson(server.url, "AdminService/BatchVerifyCredentials", server.rootCredential, {
      requests,
    });
    expect(body.responses.map((response: { key?: { id: string } }) => response.key?.id)).toEqual(
      batch.map(({ keyId }) => keyId),
    );
  }
}
