import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { parseIssuedKey } from "../../services/core/credential.ts";
import { loadMasterKeys } from "../../services/keyring/master-key.ts";
import { callJson } from "../support/calls.ts";
import { formsOf } from "../support/secret-forms.ts";
import { startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("secrets");
afterAll(folder.remove);

it("keeps no secret in the database, its side files or the log, however it was used", async () => {
  const server = await startServer({ dataDir: folder.path, env: { ICHOR_LOG_LEVEL: "trace" } });
  const call = (method: string, body: object, credential = server.rootCredential) =>
    callJson(server.url, `AdminService/${method}`, credential, body);
  const issued = (await call("IssueApiKey", { name: "a", requestId: "once" })).body;
  const { credential } = issued;
  await call("IssueApiKey", { name: "a", requestId: "once" });
  const rotated = (await call("RotateApiKey", { keyId: issued.apiKey.id, requestId: "turn" })).body;
  // As a subject, as a caller without permission, with one character changed, in a field that quotes it when refused.
  for (const each of [credential, rotated.credential, `${credential.slice(0, -1)}_`]) {
    await call("VerifyCredential", { credential: each });
    await call("GetApiKey", { keyId: issued.apiKey.id }, each);
    await call("GetApiKey", { keyId: each });
    await call("IssueApiKey", { [each]: 1 });
    await call("IssueApiKey", { name: "b", ownerId: 1, scopes: [each] });
  }
  const kept = () => {
    const files = readdirSync(folder.path).filter((name) => name.startsWith("ichor.db"));
    return [...files.map((name) => readFileSync(join(folder.path, name))), Buffer.from(server.log.join("\n"))];
  };
  const live = kept();
  expect(await server.stop()).toBe(0);
  const all = [...live, ...kept()];

  // The search finds what is there: the key's name to the database, its id to both.
  expect(live.length).toBeGreaterThanOrEqual(3);
  expect(all.some((bytes) => bytes.includes(issued.apiKey.id.slice("key_".length)))).toBe(true);
  const masterKey = loadMasterKeys(join(folder.path, "master.key")).current.key;
  for (const text of [server.rootCredential, credential, rotated.credential]) {
    const { secret } = parseIssuedKey(text) as NonNullable<ReturnType<typeof parseIssuedKey>>;
    for (const form of formsOf(secret, text)) {
      expect(all.filter((bytes) => bytes.includes(form))).toEqual([]);
    }
  }
  for (const form of formsOf(masterKey)) expect(all.filter((bytes) => bytes.includes(form))).toEqual([]);
});
