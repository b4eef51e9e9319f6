import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { callJson } from "../support/calls.ts";
import { createTestDatabase } from "../support/databases.ts";
import { startEmbeddedPostgres } from "../support/embedded-postgres.ts";
import { startServer, temporaryFolder } from "../support/server-process.ts";

const rounds = 2;
const acknowledgementsMin = 30;

it(`loses no acknowledged key when PostgreSQL itself is killed while keys are issued, ${rounds} times`, {
  timeout: 120_000,
}, async (context) => {
  const postgres = await startEmbeddedPostgres().catch((error: Error) => context.skip(error.message));
  const folder = temporaryFolder("database-killed");
  const database = await createTestDatabase(postgres.url);
  const masterKeyFile = join(folder.path, "shared.key");
  writeFileSync(masterKeyFile, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
  const env = { ICHOR_DATABASE_URL: database.url, ICHOR_MASTER_KEY_FILE: masterKeyFile };
  const server = await startServer({ dataDir: folder.path, env });
  const admin = (method: string, body: unknown) =>
    callJson(server.url, `AdminService/${method}`, server.rootCredential, body);

  const acknowledged: { keyId: string; credential: string }[] = [];
  const statuses = new Set<number>();
  for (let round = 0; round < rounds; round++) {
    const enough = acknowledged.length + acknowledgementsMin;
    let crashed: Promise<void> | undefined;
    let back = false;
    const client = async () => {
      // Until one that began after the database was back is acknowledged: without a restart, everything works again.
      for (;;) {
        const begunAfter = back;
        const { status, body } = await admin("IssueApiKey", { name: `round ${round}` });
        statuses.add(status);
        if (status === 200) acknowledged.push({ keyId: body.apiKey.id, credential: body.credential });
        if (status === 200 && begunAfter) return;
        if (acknowledged.length >= enough) {
          crashed ??= postgres.crash().then(() => {
            back = true;
          });
        }
      }
    };
    await Promise.all(Array.from({ length: 4 }, client));
    await crashed;
  }
  expect([...statuses].sort()).toEqual([200, 503]);

  for (let at = 0; at < acknowledged.length; at += 100) {
    const batch = acknowledged.slice(at, at + 100);
    const requests = batch.map(({ credential }) => ({ credential, noCache: true }));
    const { body } = await admin("BatchVerifyCredentials", { requests });
    expect(body.responses.map((response: { key?: { id: string } }) => response.key?.id)).toEqual(
      batch.map(({ keyId }) => keyId),
    );
  }
  expect(await server.stop()).toBe(0);
  await postgres.stop();
  folder.remove();
});
