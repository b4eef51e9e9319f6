import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, expect, it } from "vitest";
import { callJson } from "../support/calls.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const rounds = 20;
const clients = 8;
const acknowledgementsMin = 50;
/** The kill falls at a random moment within so many ms after the least number of acknowledgements. */
const killWithinMs = 40;

const folder = temporaryFolder("kill");
afterAll(folder.remove);

interface Acknowledged {
  readonly keyId: string;
  readonly credential: string;
}

it(`loses no acknowledged key and leaves none half-written when killed while it issues, ${rounds} times`, {
  timeout: 240_000,
}, async () => {
  const all: Acknowledged[] = [];
  for (let round = 0; round < rounds; round++) {
    const server = await startServer({ dataDir: folder.path });
    await verifyAll(server, all.slice(-acknowledgementsMin));
    const acknowledged = await issueUntilKilled(server, round);
    expect(acknowledged.length).toBeGreaterThanOrEqual(acknowledgementsMin);
    all.push(...acknowledged);
  }
  const last = await startServer({ dataDir: folder.path });
  await verifyAll(last, all);
  expect(await last.stop()).toBe(0);
  expectWholeStore(join(folder.path, "ichor.db"));
});

/** Issues keys with some clients at once until the server is killed; gives what was acknowledged. */
async function issueUntilKilled(server: ServerProcess, round: number): Promise<Acknowledged[]> {
  const acknowledged: Acknowledged[] = [];
  let killed: Promise<void> | undefined;
  const client = async (number: number) => {
    for (let i = 0; ; i++) {
      const name = `r${round}-c${number}-${i}`;
      const answer = await callJson(server.url, "AdminService/IssueApiKey", server.rootCredential, { name }).catch(
        () => undefined,
      );
      if (answer === undefined) return;
      expect(answer.status).toBe(200);
      acknowledged.push({ keyId: answer.body.apiKey.id, credential: answer.body.credential });
      if (acknowledged.length >= acknowledgementsMin) killed ??= killSoon(server);
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  await killed;
  return acknowledged;
}

function killSoon(server: ServerProcess): Promise<void> {
  return new Promise((resolve) => setTimeout(() => resolve(server.kill()), Math.random() * killWithinMs));
}

/** Each acknowledged key verifies as itself, in batches. */
async function verifyAll(server: ServerProcess, acknowledged: readonly Acknowledged[]): Promise<void> {
  for (let at = 0; at < acknowledged.length; at += 100) {
    const batch = acknowledged.slice(at, at + 100);
    const { body } = await callJson(server.url, "AdminService/BatchVerifyCredentials", server.rootCredential, {
      requests: batch.map(({ credential }) => ({ credential })),
    });
    expect(body.responses.map((response: { key?: { id: string } }) => response.key?.id)).toEqual(
      batch.map(({ keyId }) => keyId),
    );
    expect(new Set(body.responses.map((response: { code: string }) => response.code))).toEqual(
      new Set(["VERIFICATION_CODE_VALID"]),
    );
  }
}

/** Nothing is half-written: every key has its secret, every revision its change and its audit event. */
function expectWholeStore(path: string): void {
  const db = new Database(path, { readonly: true });
  const count = (sql: string) => db.prepare(`SELECT count(*) FROM ${sql}`).pluck().get();
  const head = Number(db.prepare("SELECT revision FROM store_head").pluck().get());
  expect(count("change_log")).toBe(head);
  expect(count("audit_event")).toBe(head);
  // The first revision is the first start, which makes the root credential.
  expect(count("api_key")).toBe(head);
  expect(count("secret_version")).toBe(head);
  expect(count("api_key k WHERE NOT EXISTS (SELECT 1 FROM secret_version v WHERE v.key_id = k.id)")).toBe(0);
  db.close();
}
