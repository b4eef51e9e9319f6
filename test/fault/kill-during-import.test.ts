import { afterAll, expect, it } from "vitest";
import { callJson } from "../support/calls.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const rounds = 4;
const clients = 3;
const batchItems = 100;
const acknowledgedMin = 4;
/** The kill falls at a random moment within so many ms after the least number of acknowledgements. */
const killWithinMs = 60;

const folder = temporaryFolder("kill-import");
afterAll(folder.remove);

interface Batch {
  readonly credentials: readonly string[];
  acknowledged: boolean;
}

it(`keeps every acknowledged batch whole, and no part of another, when killed while it imports, ${rounds} times`, {
  timeout: 180_000,
}, async () => {
  const all: Batch[] = [];
  for (let round = 0; round < rounds; round++) {
    const server = await startServer({ dataDir: folder.path });
    const sent = await importUntilKilled(server, round);
    expect(sent.filter(({ acknowledged }) => acknowledged).length).toBeGreaterThanOrEqual(acknowledgedMin);
    all.push(...sent);
  }
  const last = await startServer({ dataDir: folder.path });
  for (const batch of all) {
    const codes = await codesOf(last, batch);
    // All or nothing; nothing only if it was never acknowledged.
    expect(codes.size).toBe(1);
    if (batch.acknowledged) expect([...codes]).toEqual(["VERIFICATION_CODE_VALID"]);
  }
  // The rest resumes: sent again, each key is there once.
  for (const batch of all.filter(({ acknowledged }) => !acknowledged)) {
    const before = await codesOf(last, batch);
    const reasons = await importBatch(last, batch);
    const expected = before.has("VERIFICATION_CODE_VALID") ? "KEY_ALREADY_EXISTS" : "imported";
    expect(new Set(reasons)).toEqual(new Set([expected]));
  }
  const { body } = await callJson(last.url, "AdminService/BulkRevokeApiKeys", last.rootCredential, {
    filter: "owner_id = kill",
    dryRun: true,
  });
  expect(body).toMatchObject({ revokedCount: 1000, remainingEstimate: all.length * batchItems - 1000 });
  expect(await last.stop()).toBe(0);
});

async function importUntilKilled(server: ServerProcess, round: number): Promise<Batch[]> {
  const sent: Batch[] = [];
  let killed: Promise<void> | undefined;
  const client = async (number: number) => {
    for (let i = 0; ; i++) {
      const name = `round-${round}-client-${number}-batch-${i}`;
      const credentials = Array.from({ length: batchItems }, (_, n) => `${name}-key-${n}`);
      const batch = { credentials, acknowledged: false };
      sent.push(batch);
      const reasons = await importBatch(server, batch).catch(() => undefined);
      if (reasons === undefined) return;
      expect(new Set(reasons)).toEqual(new Set(["imported"]));
      batch.acknowledged = true;
      if (sent.filter(({ acknowledged }) => acknowledged).length >= acknowledgedMin) killed ??= killSoon(server);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  await killed;
  return sent;
}

function killSoon(server: ServerProcess): Promise<void> {
  return new Promise((resolve) => setTimeout(() => resolve(server.kill()), Math.random() * killWithinMs));
}

async function importBatch(server: ServerProcess, { credentials }: Batch): Promise<string[]> {
  const items = credentials.map((raw) => ({ raw, name: "k", ownerId: "kill" }));
  const { status, body } = await callJson(server.url, "AdminService/BatchImportApiKeys", server.rootCredential, {
    items,
  });
  expect(status).toBe(200);
  return body.results.map((result: { error?: { reason: string } }) => result.error?.reason ?? "imported");
}

async function codesOf(server: ServerProcess, { credentials }: Batch): Promise<Set<string>> {
  const requests = credentials.map((credential) => ({ credential }));
  const { body } = await callJson(server.url, "AdminService/BatchVerifyCredentials", server.rootCredential, {
    requests,
  });
  return new Set(body.responses.map(({ code }: { code: string }) => code));
}
