import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callJson } from "../support/calls.ts";
import { runIchor } from "../support/command-line.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("token-commands");
/** Another port after a restart is no other issuer. */
const env = { ICHOR_PUBLIC_URL: "https://keys.example" };
const audience = "https://api.example";
let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ dataDir: folder.path, env });
});
afterAll(async () => {
  expect(await server?.stop()).toBe(0);
  folder.remove();
});

/** Runs it as who has the data directory, or as the holder of a credential. */
function ichor(args: readonly string[], input?: string, credential?: string) {
  const own = {
    ICHOR_DATA_DIR: folder.path,
    ICHOR_URL: server.url,
    ...(credential && { ICHOR_CREDENTIAL: credential }),
  };
  return runIchor(["--json", ...args], { cwd: folder.path, env: own, ...(input && { input }) });
}

function answerOf(args: readonly string[], input?: string, credential?: string) {
  const { status, stdout, stderr } = ichor(args, input, credential);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout);
}

function codeOf(token: string): string {
  return JSON.parse(ichor(["tokens", "verify", "--audience", audience], token).stdout).code;
}

const issue = (): { apiKey: { id: string }; credential: string } =>
  answerOf(["keys", "issue", "--name", "k", "--scope", "a:*"]);

describe("ichor tokens", () => {
  it("derives, verifies and revokes, as holder and as administrator", { timeout: 60_000 }, () => {
    const { apiKey, credential } = issue();
    const options = ["--audience", audience, "--scope", "a:b", "--ttl", "5m"];
    const jwt = answerOf(["tokens", "derive", ...options], undefined, credential);
    const macaroon = answerOf(
      ["tokens", "derive", ...options, "--format", "macaroon", "--parent-file", "-"],
      credential,
    );
    expect([jwt.scopes, macaroon.format]).toEqual([["a:b"], "TOKEN_FORMAT_MACAROON"]);
    expect([codeOf(jwt.token), codeOf(macaroon.token)]).toEqual(Array(2).fill("VERIFICATION_CODE_VALID"));
    answerOf(["tokens", "revoke", "--token-file", "-"], jwt.token);
    answerOf(["tokens", "revoke", "--key", apiKey.id, "--token", macaroon.tokenId]);
    expect([codeOf(jwt.token), codeOf(macaroon.token)]).toEqual(Array(2).fill("VERIFICATION_CODE_REVOKED"));
    expect(ichor(["tokens", "verify", "--audience", audience], jwt.token).status).toBe(1);
    expect(ichor(["tokens", "revoke"]).status).toBe(2);
  });
});

describe("ichor signing-keys", () => {
  it("lists, rotates and revokes", { timeout: 60_000 }, () => {
    const states = () =>
      answerOf(["signing-keys", "list"]).signingKeys.map(({ state }: { state: string }) => state.split("_").at(-1));
    expect(states().sort()).toEqual(["ACTIVE", "NEXT"]);
    expect(ichor(["signing-keys", "rotate"]).stderr).toMatch(/NEXT_KEY_TOO_YOUNG/);
    const { signingKey } = answerOf(["signing-keys", "rotate", "--force"]);
    answerOf(["signing-keys", "revoke", signingKey.id]);
    expect(states().sort()).toEqual(["ACTIVE", "COMPROMISED", "NEXT", "RETIRED"]);
  });
});

describe("ichor tenants", () => {
  it("makes, shows, changes, suspends and resumes", { timeout: 60_000 }, () => {
    const settings = ["--settings", '{"tokenTtl":"60s"}'];
    const { tenant } = answerOf(["tenants", "create", "acme", "--name", "Acme", ...settings]);
    expect(tenant).toMatchObject({ slug: "acme", settings: { tokenTtl: "60s" } });
    answerOf(["tenants", "update", "acme", "--name", "New", "--etag", tenant.etag]);
    expect(answerOf(["tenants", "get", tenant.id]).tenant).toMatchObject({
      name: "New",
      settings: { tokenTtl: "60s" },
    });
    const quotas = ["--keys-max", "5", "--dead-key-retention-days", "30"];
    expect(answerOf(["tenants", "update", "acme", ...quotas]).tenant.settings).toMatchObject({
      ...{ keysMax: 5, deadKeyRetentionDays: 30, tokenTtl: "60s" },
    });
    const lifted = answerOf(["tenants", "update", "acme", "--keys-max", "0", "--settings", '{"tokenTtl":null}']);
    expect(lifted.tenant.settings).toMatchObject({ deadKeyRetentionDays: 30, tokenTtl: "900s" });
    expect(lifted.tenant.settings.keysMax).toBeUndefined();
    expect(ichor(["tenants", "update", "acme", "--keys-max", "many"]).status).toBe(2);
    expect(answerOf(["tenants", "disable", "acme"]).tenant.state).toBe("TENANT_STATE_DISABLED");
    expect(answerOf(["tenants", "enable", "acme"]).tenant.state).toBe("TENANT_STATE_ACTIVE");
    const slugs = answerOf(["tenants", "list"]).tenants.map(({ slug }: { slug: string }) => slug);
    expect(slugs).toEqual(["acme", "default"]);
    expect(ichor(["tenants", "create", "x", "--name", "X", "--settings", '{"no":1}']).status).toBe(2);
  });
});

describe("ichor secrets rewrap", () => {
  it("moves every secret to the new master key while a server runs, and the old one isn't needed any more", {
    timeout: 90_000,
  }, async () => {
    const { credential } = issue();
    const derive = async () =>
      (
        await callJson(server.url, "DerivationService/DeriveToken", credential, {
          format: "TOKEN_FORMAT_MACAROON",
          audiences: [audience],
        })
      ).body.token;
    const before = await derive();
    const file = join(folder.path, "master.key");
    const old = readFileSync(file, "utf8");
    const fresh = `${randomBytes(32).toString("base64")}\n`;
    const restartWith = async (keys: string) => {
      await server.stop();
      writeFileSync(file, keys);
      server = await startServer({ dataDir: folder.path, env });
    };
    await restartWith(`${fresh}${old}`);
    const { moved } = answerOf(["secrets", "rewrap"]);
    // A pepper and a macaroon master, and per tenant the private parts of the active and the next key.
    expect(moved).toBeGreaterThanOrEqual(4);
    expect(answerOf(["secrets", "rewrap"])).toEqual({ moved: 0, stuck: 0 });
    await restartWith(fresh);
    expect(codeOf(before)).toBe("VERIFICATION_CODE_VALID");
    expect(codeOf(await derive())).toBe("VERIFICATION_CODE_VALID");
    answerOf(["signing-keys", "rotate", "--force"]);
    expect(codeOf(answerOf(["tokens", "derive", "--audience", audience], undefined, credential).token)).toBe(
      "VERIFICATION_CODE_VALID",
    );
  });
});
