import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, expect, it } from "vitest";
import { parseIssuedKey } from "../../services/core/credential.ts";
import { sha256 } from "../../services/core/digest.ts";
import { loadMasterKeys } from "../../services/keyring/master-key.ts";
import { openSecret } from "../../services/keyring/sealed-secret.ts";
import type { SealedSecret } from "../../services/store/port.ts";
import { callJson } from "../support/calls.ts";
import { startOtlpReceiver } from "../support/otlp/receiver.ts";
import { formsOf, textForms } from "../support/secret-forms.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("secrets");
afterAll(folder.remove);
const databaseFile = join(folder.path, "ichor.db");
const audience = "https://api.example";

/** What a busy run showed to someone. */
interface Shown {
  readonly credentials: readonly string[];
  readonly texts: readonly string[];
  readonly bytes: readonly Uint8Array[];
}

it("keeps no secret in database, log, metrics or traces, whatever was handed out and however it was used", {
  timeout: 90_000,
}, async () => {
  const collector = await startOtlpReceiver();
  const env = {
    ICHOR_LOG_LEVEL: "trace",
    ICHOR_METRICS_LISTEN: "127.0.0.1:0",
    OTEL_EXPORTER_OTLP_ENDPOINT: `${collector.url}/`,
  };
  const server = await startServer({ dataDir: folder.path, env });
  const shown = await busyRun(server);
  const metricsUrl = /"metrics":"([^"]+)"/.exec(server.log.join("\n"))?.[1] ?? "";
  const metrics = Buffer.from(await (await fetch(metricsUrl)).text());
  const whileRunning = files();
  expect(await server.stop()).toBe(0);
  collector.close();

  const sealed = sealedSecrets();
  expect([...new Set(sealed.map(({ purpose }) => purpose))].sort()).toEqual([
    "checkpoint_key",
    "feed_key",
    "macaroon_master",
    "pepper",
    "signing_key",
  ]);
  const masterKey = loadMasterKeys(join(folder.path, "master.key")).current.key;
  const forms = [
    ...shown.credentials.flatMap((text) => formsOf(parseIssuedKey(text)?.secret ?? Buffer.alloc(0), text)),
    ...shown.texts.flatMap(textForms),
    // By a plain hash a guess could be tested.
    ...[...shown.credentials, ...shown.texts].flatMap((text) => formsOf(sha256(text))),
    ...[...shown.bytes, ...sealed.map(({ secret }) => secret), masterKey].flatMap((bytes) => formsOf(bytes)),
  ];
  expect(forms.length).toBeGreaterThan(400);
  const dump = () => ({
    files: [...whileRunning, ...files()],
    // Value by value, since in the file a long one is in pieces.
    rows: rowsOf(),
    log: [Buffer.from(server.log.join("\n"))],
    metrics: [metrics],
    traces: collector.bodies,
  });
  const told = dump();
  // Each has what belongs there: the search below reads the right thing.
  const keyId = /key_\w{26}/.exec(server.log.join("\n"))?.[0] ?? "none";
  expect(found(told, keyId)).toEqual(["files", "rows", "log", "traces"]);
  expect(found(told, "AdminService/IssueApiKey")).toEqual(["log", "metrics", "traces"]);
  expect(forms.flatMap((form) => found(told, form).map((place) => [place, form]))).toEqual([]);

  // And it would have found them.
  for (const form of forms) {
    const planted = Buffer.concat([Buffer.from("before"), Buffer.from(form), Buffer.from("after")]);
    expect(found({ ...told, log: [planted] }, form)).toEqual(["log"]);
  }
  const database = new Database(databaseFile);
  database.prepare("UPDATE audit_event SET request_id = ?").run(shown.texts[0]);
  database.close();
  expect(found(dump(), shown.texts[0] ?? "")).toEqual(["files", "rows"]);
});

async function busyRun(server: ServerProcess): Promise<Shown> {
  const call = async (method: string, body: object, credential = server.rootCredential, headers = {}) =>
    (await callJson(server.url, method, credential, body, headers)).body;
  const admin = (method: string, body: object, credential?: string, headers = {}) =>
    call(`AdminService/${method}`, body, credential, headers);
  const scopes = ["a:b", "ichor:keyset:watch", `ichor:verify:aud:${audience}`];
  const issued = await admin("IssueApiKey", { name: "a", scopes, requestId: "once" });
  await admin("IssueApiKey", { name: "a", scopes, requestId: "once" });
  const rotated = await admin("RotateApiKey", { keyId: issued.apiKey.id, requestId: "turn" });
  const itself = await call("SelfService/RotateSelf", { requestId: "self" }, rotated.credential);
  const raw = "legacy/key+of=another&system?with%odd characters";
  await admin("ImportApiKey", { name: "b", raw, requestId: "take" });
  await admin("CreateTenant", { slug: "acme", name: "Acme" });
  const ofAcme = await admin("IssueApiKey", { name: "c" }, undefined, { "ichor-tenant": "acme" });
  const credentials = [
    server.rootCredential,
    issued.credential,
    rotated.credential,
    itself.credential,
    ofAcme.credential,
  ];
  const derive = (format: string, credential: string) =>
    call(
      "DerivationService/DeriveToken",
      { format: `TOKEN_FORMAT_${format}`, audiences: [audience], scopes: ["a:b"] },
      credential,
    );
  const jwt = (await derive("JWT", itself.credential)).token;
  const macaroon = (await derive("MACAROON", itself.credential)).token;
  const child = (await derive("MACAROON", macaroon)).token;
  const { audienceKeys } = await call("DerivationService/GetKeySet", { audiences: [audience] }, itself.credential);
  const texts = [raw, jwt, macaroon, child];
  // As a subject, as a caller without permission, with one character changed, in a field that quotes it when refused.
  for (const each of [...credentials, ...texts, `${issued.credential.slice(0, -1)}_`]) {
    await admin("VerifyCredential", { credential: each, audience, requiredScopes: ["a:b"] });
    await call("DerivationService/VerifyToken", { credential: each, audience });
    await admin("LookupCredentials", { texts: [each] });
    await admin("GetApiKey", { keyId: issued.apiKey.id }, /\s/.test(each) ? encodeURIComponent(each) : each);
    await admin("GetApiKey", { keyId: each });
    await admin("IssueApiKey", { [each]: 1 });
    await admin("IssueApiKey", { name: "b", ownerId: 1, scopes: [each] });
    await call("SelfService/GetSelf", { [each]: 1 }, issued.credential);
    await admin("GetApiKey", { keyId: issued.apiKey.id }, undefined, {
      "ichor-tenant": encodeURIComponent(each),
      "user-agent": encodeURIComponent(each),
    });
  }
  await admin("RevokeToken", { token: jwt });
  await admin("RevokeApiKey", { keyId: issued.apiKey.id });
  expect([...credentials, ...texts].every((text) => typeof text === "string" && text.length > 40)).toBe(true);
  expect(audienceKeys).toHaveLength(1);
  const signatures = [jwt.split(".")[2], macaroon.slice(-43), child.slice(-43)];
  return {
    credentials,
    texts: [...texts, ...signatures],
    bytes: audienceKeys.map(({ key }: { key: string }) => Buffer.from(key, "base64")),
  };
}

/** The database's files as they are now. */
function files(): readonly Buffer[] {
  const names = readdirSync(folder.path).filter((name) => name.startsWith("ichor.db"));
  return names.map((name) => readFileSync(join(folder.path, name)));
}

/** Every value of every table. */
function rowsOf(): readonly Buffer[] {
  const database = new Database(databaseFile, { readonly: true });
  const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all() as string[];
  expect(tables.length).toBeGreaterThanOrEqual(15);
  const rows = tables.flatMap((table) => database.prepare(`SELECT * FROM "${table}"`).raw().all() as unknown[][]);
  database.close();
  return rows.flat().map((value) => (value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(String(value))));
}

/** What the database holds sealed, opened; of private keys the secret number. */
function sealedSecrets(): readonly { readonly purpose: string; readonly secret: Uint8Array }[] {
  const database = new Database(databaseFile, { readonly: true });
  const rows = database.prepare("SELECT * FROM sealed_secret").all() as Record<string, unknown>[];
  database.close();
  const masterKeys = loadMasterKeys(join(folder.path, "master.key"));
  return rows.map(({ id, purpose, sealed, master_key_id: masterKeyId, tenant_id: tenantId }) => {
    const row = { id, purpose, sealed, masterKeyId, ...(tenantId !== null && { tenantId }) };
    const plain = Buffer.from(openSecret(masterKeys, row as SealedSecret));
    const secret = plain.includes('"d"') ? Buffer.from(JSON.parse(plain.toString("utf8")).d, "base64url") : plain;
    return { purpose: String(purpose), secret };
  });
}

/** Where a form is found. */
function found(told: Readonly<Record<string, readonly Buffer[]>>, form: string | Buffer): readonly string[] {
  return Object.keys(told).filter((place) => told[place]?.some((bytes) => bytes.includes(form)));
}
