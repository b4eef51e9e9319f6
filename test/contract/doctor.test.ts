import { randomBytes } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { buildApp } from "../../services/app.ts";
import { loadServerConfig } from "../../services/config/server-config.ts";
import { diagnose } from "../../services/diagnose.ts";
import { makeCertificate } from "../support/certificate.ts";
import { createTestDatabase } from "../support/databases.ts";
import { freePort } from "../support/free-port.ts";
import { requirement } from "../support/requirements.ts";
import { temporaryFolder } from "../support/server-process.ts";
import { storeUrlOf } from "./server-stores.ts";

const postgres = await requirement("postgres");
const mariadb = await requirement("mariadb");
const redis = await requirement("redis");

const deps = { now: Date.now, random: randomBytes };
const log = { trace() {}, debug() {}, info() {}, warn() {}, error() {}, fatal() {} };

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder("doctor");
});
afterEach(() => folder.remove());

/** What the doctor finds, by name; `env` on top of a data directory and, for a server, a master key file. */
async function found(env: Readonly<Record<string, string>> = {}, now: () => number = Date.now) {
  const findings = await diagnose(configOf(env), { ...deps, now });
  expect(JSON.stringify(findings)).not.toContain("hunter2");
  return Object.fromEntries(findings.map(({ name, status, message }) => [name, `${status}: ${message}`]));
}

function configOf(env: Readonly<Record<string, string>>) {
  return loadServerConfig({ ICHOR_DATA_DIR: folder.path, ...env });
}

/** A first start. */
async function start(env: Readonly<Record<string, string>> = {}): Promise<void> {
  const app = await buildApp(configOf(env), { ...deps, log: log as never, issuer: () => "http://localhost" });
  await app.close();
}

describe("ichor doctor on the embedded store", () => {
  it("says what is missing before the first start, and makes nothing", async () => {
    expect(await found()).toMatchObject({
      master_key: expect.stringMatching(/^fail: .*master.key can't be read/),
      store: expect.stringMatching(/^fail: .*ichor.db doesn't exist/),
    });
    expect(await found()).toMatchObject({ store: expect.stringMatching(/doesn't exist/) });
  });

  it("is content with a store that was started, and is not with files that others may read", async () => {
    await start();
    expect(Object.values(await found()).filter((text) => !text.startsWith("ok: "))).toEqual([]);
    for (const name of ["root.key", "master.key"]) chmodSync(join(folder.path, name), 0o644);
    expect(await found()).toMatchObject({
      root_key_file: expect.stringMatching(/^fail: .*root.key has mode 0644/),
      master_key: expect.stringMatching(/^fail: .*master.key has mode 0644/),
    });
  });

  it("says that the secrets are sealed under another master key", async () => {
    await start();
    writeFileSync(join(folder.path, "master.key"), `${randomBytes(32).toString("base64")}\n`);
    expect((await found()).secrets).toMatch(/^fail: \d+ are sealed under master key [0-9a-f]{16}, which isn't loaded/);
  });

  it("looks at the certificate, and when it ends", async () => {
    await start();
    const { certFile, keyFile } = makeCertificate(folder.path);
    const tls = { ICHOR_TLS_CERT_FILE: certFile, ICHOR_TLS_KEY_FILE: keyFile };
    const endMs = Date.parse(/ends on (.*)$/.exec((await found(tls)).tls ?? "")?.[1] ?? "");
    expect((await found(tls, () => endMs - 15 * 86_400_000)).tls).toMatch(/^ok/);
    expect((await found(tls, () => endMs - 13 * 86_400_000)).tls).toMatch(/^warn/);
    expect((await found(tls, () => endMs + 1_000)).tls).toMatch(/^fail/);
    expect((await found({ ...tls, ICHOR_TLS_KEY_FILE: certFile })).tls).toMatch(/^fail: .*mode|^fail: .*can't be used/);
  });

  it("asks Redis, and never tells its password", async () => {
    const port = await freePort();
    expect((await found({ ICHOR_REDIS_URL: `redis://:hunter2@127.0.0.1:${port}` })).redis).toMatch(
      /^warn: .*ECONNREFUSED/,
    );
  });

  redis.describe("with Redis", (url) => {
    it("says that it answers", async () => {
      expect((await found({ ICHOR_REDIS_URL: url })).redis).toBe("ok: it answers");
    });
  });
});

postgres.describe("with a PostgreSQL server", (url) => describeServer("PostgreSQL", url, "postgresql:"));
mariadb.describe("with a MariaDB server", (url) => describeServer("MariaDB", url, "mysql:"));

function describeServer(name: string, serverUrl: string, scheme: string): void {
  it(`ichor doctor looks at a store on ${name}: its schema, durability and clock, before and after the first start`, async () => {
    const database = await createTestDatabase(serverUrl);
    const masterKeyFile = join(folder.path, "shared.key");
    writeFileSync(masterKeyFile, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
    const env = { ICHOR_DATABASE_URL: storeUrlOf(database, scheme), ICHOR_MASTER_KEY_FILE: masterKeyFile };
    const empty = await found(env);
    expect(empty).toMatchObject({
      store: expect.stringMatching(/^ok/),
      migrations: expect.stringMatching(/^fail: .*_init/),
    });
    await start(env);
    const started = await found(env);
    for (const name of ["store", "migrations", "clock", "log", "servers", "root_credential", "secrets", "master_key"]) {
      expect(`${name} ${started[name]}`).toMatch(/^\w+ ok: /);
    }
    // What a test server is told of is its settings.
    expect(started.durability).toMatch(/^(ok|warn): /);
    expect((await found(env, () => Date.now() + 60_000)).clock).toMatch(/^fail: .*(5\d|6\d)\d{3} ms behind/);
    const gone = new URL(env.ICHOR_DATABASE_URL);
    Object.assign(gone, { port: String(await freePort()), password: "hunter2" });
    expect((await found({ ...env, ICHOR_DATABASE_URL: gone.href })).store).toMatch(/^fail: .*can't be reached/);
    await database.drop();
  });
}
