import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { callJson } from "../support/calls.ts";
import { createTestDatabase, mariadbOptions, type TestDatabase } from "../support/databases.ts";
import { codeBlocksOf } from "../support/markdown.ts";
import { requirement } from "../support/requirements.ts";
import { plainEnvironment, type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

// Does what docs/operate/backup.md says, by the commands that stand there.

const postgres = await requirement("postgres");
const mariadb = await requirement("mariadb");

const blocks = codeBlocksOf("docs/operate/backup.md").map(({ text }) => text);
const main = new URL("../../dist/services/main.js", import.meta.url).pathname;
const audience = "https://api.example";

let folder: ReturnType<typeof temporaryFolder>;
const databases: TestDatabase[] = [];
beforeEach(() => {
  folder = temporaryFolder("restore");
  writeFileSync(join(folder.path, "shared.key"), `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
  // The page calls it by its name.
  writeFileSync(join(folder.path, "ichor"), `#!/bin/sh\nexec ${process.execPath} ${main} "$@"\n`);
  chmodSync(join(folder.path, "ichor"), 0o700);
});
afterEach(async () => {
  for (const database of databases.splice(0)) await database.drop();
  folder.remove();
});

/** Names for the page's commands to use, and for servers to run with. */
type Variables = Readonly<Record<string, string>>;

interface Way {
  /** Words by which the page's blocks are found. */
  readonly backup: string;
  readonly restore: string;
  /** Where the store is before, and where it is restored to. */
  before(): Promise<Variables>;
  after(before: Variables): Promise<Variables>;
  /** Whether what the audit trail says is done again: the same everywhere, and so tried once. */
  readonly trail?: true;
}

describe("a restored backup", () => {
  describeRestore("SQLite", {
    backup: "ichor store backup",
    restore: "DATABASE_FILE-wal",
    before: async () => {
      const file = join(folder.path, "ichor.db");
      return { ICHOR_DATABASE_URL: `file:${file}`, DATABASE_FILE: file };
    },
    after: async (before) => before,
    trail: true,
  });

  postgres.describe("with a PostgreSQL server", (serverUrl) => {
    const make = async () => ({ ICHOR_DATABASE_URL: (await emptyDatabase(serverUrl)).url });
    describeRestore("PostgreSQL", { backup: "pg_dump", restore: "pg_restore", before: make, after: make });
  });

  mariadb.describe("with a MariaDB server", (serverUrl) => {
    const make = async () => {
      const { url } = await emptyDatabase(serverUrl);
      const { host, port, user, database = "" } = mariadbOptions(url);
      const names = { DATABASE_HOST: host, DATABASE_PORT: String(port), DATABASE_USER: user, DATABASE_NAME: database };
      return { ICHOR_DATABASE_URL: url, ...names };
    };
    describeRestore("MariaDB", { backup: "mariadb-dump", restore: "mariadb --host", before: make, after: make });
  });
});

function describeRestore(name: string, way: Way): void {
  it(`on ${name} is another history, in which no token lives that was derived before, and every key is as it was`, {
    timeout: 120_000,
  }, async (context) => {
    if (!isInstalled(way.backup.split(" ")[0] ?? "")) context.skip(`${way.backup} isn't installed`);
    const before = await way.before();
    const first = await start(before);
    const admin = (server: ServerProcess, method: string, body: unknown) =>
      call(server, `AdminService/${method}`, body);
    const [kept, revoked] = [await issue(first), await issue(first)];
    const early = await derive(first, kept);
    run(way.backup, before);

    await admin(first, "RevokeToken", { token: early });
    await admin(first, "RevokeApiKey", { keyId: revoked.keyId });
    const later = await issue(first);
    const late = await derive(first, kept);
    expect(await codes(first, [early, late])).toEqual(["REVOKED", "VALID"]);
    if (way.trail) run("audit export", { ...before, ICHOR_URL: first.url });
    expect(await first.stop()).toBe(0);

    const after = await way.after(before);
    run(way.restore, after);
    expect(run("new-epoch", after)).toMatch(/^new store epoch [0-9a-f]{32} at revision/);
    const second = await start(after);
    expect(await codes(second, [early, late])).toEqual(["REVOKED", "REVOKED"]);
    // As the page says: what is known of keys is what was known then.
    const credentials = [kept, revoked, later].map(({ credential }) => credential);
    expect(await codes(second, credentials)).toEqual(["VALID", "VALID", "NOT_FOUND"]);
    expect(await codes(second, [await derive(second, kept)])).toEqual(["VALID"]);
    if (way.trail) {
      run("keys revoke", { ...after, ICHOR_URL: second.url });
      expect(await codes(second, credentials)).toEqual(["VALID", "REVOKED", "NOT_FOUND"]);
    }
    expect(await second.stop()).toBe(0);
  });
}

async function emptyDatabase(serverUrl: string): Promise<TestDatabase> {
  const database = await createTestDatabase(serverUrl);
  databases.push(database);
  return database;
}

/** A tool that a development machine may lack; where everything is required it is there, or the test fails. */
function isInstalled(tool: string): boolean {
  if (tool === "ichor" || process.env.ICHOR_TEST_REQUIRE) return true;
  try {
    execFileSync(tool, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function environment(variables: Variables): Record<string, string> {
  return {
    ...plainEnvironment(),
    PATH: `${folder.path}:${process.env.PATH}`,
    BACKUP: join(folder.path, "backup"),
    TRAIL: join(folder.path, "trail.jsonl"),
    ICHOR_DATA_DIR: folder.path,
    ICHOR_MASTER_KEY_FILE: join(folder.path, "shared.key"),
    ...variables,
  };
}

/** Runs the block of the page that has the word in it. */
function run(word: string, variables: Variables): string {
  const [commands, ...others] = blocks.filter((text) => text.includes(word));
  if (commands === undefined || others.length > 0) throw new Error(`not one block of the page has ${word}`);
  return execFileSync("bash", ["-euc", commands], { env: environment(variables), encoding: "utf8" });
}

function start(variables: Variables): Promise<ServerProcess> {
  const { ICHOR_DATABASE_URL, ICHOR_MASTER_KEY_FILE } = environment(variables) as Record<string, string>;
  const env = { ICHOR_DATABASE_URL, ICHOR_MASTER_KEY_FILE, ICHOR_PUBLIC_URL: "https://keys.example" };
  return startServer({ dataDir: folder.path, env: env as Record<string, string> });
}

interface Issued {
  readonly keyId: string;
  readonly credential: string;
}

async function issue(server: ServerProcess): Promise<Issued> {
  const { apiKey, credential } = await call(server, "AdminService/IssueApiKey", { name: "k", scopes: ["a:*"] });
  return { keyId: apiKey.id, credential };
}

async function derive(server: ServerProcess, { credential }: Issued): Promise<string> {
  const request = { audiences: [audience], format: "TOKEN_FORMAT_JWT" };
  return (await call(server, "DerivationService/DeriveToken", request, credential)).token;
}

async function codes(server: ServerProcess, credentials: readonly string[]): Promise<readonly string[]> {
  const requests = credentials.map((credential) => ({ credential, audience }));
  const { responses } = await call(server, "AdminService/BatchVerifyCredentials", { requests });
  return responses.map(({ code }: { code: string }) => code.replace("VERIFICATION_CODE_", ""));
}

async function call(server: ServerProcess, method: string, body: unknown, credential = server.rootCredential) {
  const answer = await callJson(server.url, method, credential, body);
  expect([method, answer.status, answer.status === 200 ? "" : answer.body]).toEqual([method, 200, ""]);
  return answer.body;
}
