import { chmodSync, cpSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { makeCertificate } from "../support/certificate.ts";
import { runIchor } from "../support/command-line.ts";
import { startServer, temporaryFolder } from "../support/server-process.ts";

const main = new URL("../../dist/services/main.js", import.meta.url).pathname;

let folder: ReturnType<typeof temporaryFolder>;
let dataDir: string;
beforeEach(() => {
  folder = temporaryFolder("refusals");
  dataDir = join(folder.path, "data");
});
afterEach(() => folder.remove());

/** Runs `ichor` on the test's folder. */
function ichor(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const own = { ICHOR_DATA_DIR: dataDir, ICHOR_LISTEN: "127.0.0.1:0" };
  return runIchor(args, { cwd: folder.path, env: { ...own, ...env } });
}

/** What a start that is refused says: one sentence or list on stderr, no stack. */
function refusal(env: Readonly<Record<string, string>> = {}, status = 3, args = ["serve"]): string {
  const ended = ichor(args, env);
  expect({ status: ended.status, stdout: ended.stdout }).toEqual({
    status,
    stdout: expect.not.stringContaining("listening"),
  });
  expect(ended.stderr).toMatch(/^ichor: /);
  expect(ended.stderr).not.toMatch(/^\s+at /m);
  return ended.stderr.slice("ichor: ".length).trimEnd();
}

/** A data directory that a server has used. */
async function usedDataDir(): Promise<void> {
  const server = await startServer({ dataDir });
  expect(await server.stop()).toBe(0);
}

describe("a start is refused, with a sentence that tells what to do,", () => {
  it("by the configuration, with all its faults at once, before anything is made", () => {
    const said = refusal(
      {
        ICHOR_LISTEN: "8420",
        ICHOR_DATABASE_URL: "mongodb://db",
        ICHOR_MIGRATE: "yes",
        ICHOR_LOG_LEVEL: "loud",
        ICHOR_PUBLIC_URL: "ichor.example",
        ICHOR_TLS_CERT_FILE: "cert.pem",
        ICHOR_MASTER_KEY: "c2VjcmV0",
      },
      2,
    );
    expect(said.split("\n")).toEqual([
      "the configuration has 7 faults:",
      "  - ICHOR_MASTER_KEY is not a setting of this version",
      "  - ICHOR_LISTEN must be host:port or [ipv6]:port",
      "  - ICHOR_PUBLIC_URL must be an http:// or https:// URL without query, fragment or user",
      expect.stringMatching(/^ {2}- ICHOR_DATABASE_URL must begin with /),
      "  - ICHOR_MIGRATE must be on or off",
      expect.stringMatching(/^ {2}- ICHOR_LOG_LEVEL must be one of /),
      "  - ICHOR_TLS_CERT_FILE and ICHOR_TLS_KEY_FILE go together",
    ]);
    expect(said).not.toContain("c2VjcmV0");
    expect(statSync(dataDir, { throwIfNoEntry: false })).toBeUndefined();
  });

  it("by a data directory of a newer version, which stays as it is", async () => {
    await usedDataDir();
    const database = new Database(join(dataDir, "ichor.db"));
    database.exec(`INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
      VALUES ('x', 'x', '29990101000000_later', 1, 1)`);
    database.pragma("wal_checkpoint(TRUNCATE)");
    database.close();
    const before = readFileSync(join(dataDir, "ichor.db"));
    const sentence =
      "the database is of a newer version: it has the migration 29990101000000_later, which this version doesn't know";
    expect(refusal()).toBe(sentence);
    expect(refusal({}, 3, ["migrate"])).toBe(sentence);
    expect(readFileSync(join(dataDir, "ichor.db")).equals(before)).toBe(true);
  });

  it("by a master key that isn't the store's, or is missing; no other one is made in its place", async () => {
    await usedDataDir();
    const masterKey = join(dataDir, "master.key");
    const right = readFileSync(masterKey);
    const wrong = Buffer.alloc(32, 1).toString("base64");
    writeFileSync(masterKey, `${wrong}\n`);
    const said = refusal();
    expect(said).toMatch(
      /^the store's secrets are sealed under master key [0-9a-f]{16}, but loaded is [0-9a-f]{16}: put /,
    );
    expect(said).not.toContain(wrong);
    rmSync(masterKey);
    expect(refusal()).toMatch(/^the master key file .*master\.key can't be read: ENOENT/);
    expect(statSync(masterKey, { throwIfNoEntry: false })).toBeUndefined();
    writeFileSync(masterKey, "not base64\n", { mode: 0o600 });
    expect(refusal()).toMatch(/^line 1 of the master key file .* is not the base64 of 32 bytes$/);
    writeFileSync(masterKey, right);
    const server = await startServer({ dataDir });
    expect(await server.stop()).toBe(0);
  });

  it("by a chosen master key file that isn't there: a key is only made where none was chosen", () => {
    const elsewhere = join(folder.path, "elsewhere.key");
    expect(refusal({ ICHOR_MASTER_KEY_FILE: elsewhere })).toMatch(
      /^the master key file .*elsewhere\.key can't be read: ENOENT/,
    );
    expect(statSync(elsewhere, { throwIfNoEntry: false })).toBeUndefined();
  });

  it("by a master key file that others can read", () => {
    const masterKey = join(folder.path, "master.key");
    writeFileSync(masterKey, `${Buffer.alloc(32, 1).toString("base64")}\n`, { mode: 0o640 });
    expect(refusal({ ICHOR_MASTER_KEY_FILE: masterKey })).toMatch(
      /^the master key file .* has mode 0640; it must be its owner's only: chmod 600$/,
    );
  });

  it("by a TLS key that others can read, and by files that are no certificate and its key", async () => {
    const { certFile, keyFile } = makeCertificate(folder.path);
    const tls = { ICHOR_TLS_CERT_FILE: certFile, ICHOR_TLS_KEY_FILE: keyFile };
    chmodSync(keyFile, 0o604);
    expect(refusal(tls)).toMatch(/^the TLS key file .* has mode 0604; others must not have it: chmod o-rwx$/);
    chmodSync(keyFile, 0o640);
    expect(refusal({ ...tls, ICHOR_TLS_CERT_FILE: join(folder.path, "none") })).toMatch(
      /^the TLS certificate file .* can't be read: ENOENT/,
    );
    cpSync(main, join(folder.path, "text.pem"));
    expect(refusal({ ...tls, ICHOR_TLS_CERT_FILE: join(folder.path, "text.pem") })).toMatch(
      /^the TLS files .* can't be used: .*no start line$/,
    );
    expect(statSync(join(dataDir, "ichor.db"), { throwIfNoEntry: false })).toBeUndefined();
    const server = await startServer({ dataDir, env: tls });
    expect(server.url).toMatch(/^https:/);
    expect(await server.stop()).toBe(0);
  });

  it("by a data directory that can't be made", () => {
    writeFileSync(join(folder.path, "file"), "");
    expect(refusal({ ICHOR_DATA_DIR: join(folder.path, "file", "data") })).toMatch(
      /^the data directory .* can't be made \(ICHOR_DATA_DIR\): ENOTDIR/,
    );
  });

  it("by an address that is taken", async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as { port: number };
    expect(refusal({ ICHOR_LISTEN: `127.0.0.1:${port}` })).toMatch(
      new RegExp(`^can't listen on 127\\.0\\.0\\.1 port ${port} \\(ICHOR_LISTEN\\): .*EADDRINUSE`),
    );
    await new Promise((resolve) => taken.close(resolve));
  });
});

describe("a client command is refused", () => {
  const keyId = "key_01m86d3525e46af3r5ef8qmdp7";

  it("by a credential file that others can read, or that isn't there, before it calls anything", () => {
    const credentialFile = join(folder.path, "credential");
    const env = { ICHOR_CREDENTIAL_FILE: credentialFile, ICHOR_URL: "ftp://x" };
    expect(refusal(env, 2, ["keys", "get", keyId])).toMatch(
      /ICHOR_URL must be an http.*\n {2}- no credential: .*ENOENT/,
    );
    writeFileSync(credentialFile, "ichor_sk_secret\n", { mode: 0o644 });
    const said = refusal({ ...env, ICHOR_URL: "http://127.0.0.1:1" }, 2, ["keys", "get", keyId]);
    expect(said).toMatch(/has mode 0644; it must be its owner's only: chmod 600$/);
    expect(said).not.toContain("ichor_sk_secret");
  });

  it("by a server that isn't there, as a failure and not as a no", () => {
    const env = { ICHOR_CREDENTIAL: "x", ICHOR_URL: "http://127.0.0.1:1" };
    expect(refusal(env, 3, ["keys", "get", keyId])).toMatch(
      /^Unavailable: .*ECONNREFUSED.* \(ICHOR_URL says where the server is\)$/,
    );
  });
});

describe("the command line", () => {
  it("tells its commands, and what is wrong with a line", () => {
    const help = ichor(["--help"]);
    expect(help.status).toBe(0);
    for (const command of ["serve", "migrate", "keys"]) expect(help.stdout).toContain(`\n  ${command} `);
    const wrong = ichor(["srve"]);
    expect({ status: wrong.status, stderr: wrong.stderr }).toEqual({
      status: 2,
      stderr: "error: unknown command 'srve'\n(Did you mean serve?)\n(ichor --help lists the commands)\n",
    });
  });
});
