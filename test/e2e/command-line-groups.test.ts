import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { SelfService } from "../../gen/ichor/v1/self_service_pb.ts";
import { runIchor } from "../support/command-line.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("groups");
let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ dataDir: folder.path });
});
afterAll(async () => {
  await server?.stop();
  folder.remove();
});

function ichor(args: readonly string[], { input, env = {} }: { input?: string; env?: Record<string, string> } = {}) {
  const all = { ICHOR_DATA_DIR: folder.path, ICHOR_URL: server.url, ...env };
  return runIchor(args, { cwd: folder.path, env: all, ...(input && { input }) });
}

function answerOf(args: readonly string[], env?: Record<string, string>) {
  const { status, stdout, stderr } = ichor(["--json", ...args], { ...(env && { env }) });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout);
}

/** Where the commands call a method; those of `watch` and of batches are called under other names. */
const sources = execFileSync("bash", ["-c", "cat services/cli/*.ts services/verifier/*.ts"], { encoding: "utf8" });

describe("the command line", () => {
  it.each(
    [AdminService, SelfService, DerivationService].flatMap(({ methods }) => methods.map(({ localName }) => localName)),
  )("has a command that calls %s", (method) => {
    // One by one is what a command verifies; two are the library's own way to do what others do.
    const others = ["batchVerifyCredentials", "importApiKey", "getKeySet"];
    if (!others.includes(method)) expect(sources).toMatch(new RegExp(`\\.${method}\\(`));
  });

  it("lets the holder of a key show, rotate and revoke it", { timeout: 60_000 }, () => {
    const { credential, apiKey } = answerOf(["keys", "issue", "--name", "mine", "--scope", "a"]);
    const as = (secret: string) => ({ ICHOR_CREDENTIAL: secret });
    expect(answerOf(["self", "show"], as(credential)).apiKey.id).toBe(apiKey.id);
    const rotated = answerOf(["self", "rotate"], as(credential));
    const { tokenId } = answerOf(["tokens", "derive", "--audience", "x"], as(rotated.credential));
    answerOf(["self", "revoke-token", tokenId], as(rotated.credential));
    answerOf(["self", "revoke"], as(rotated.credential));
    expect(ichor(["self", "show"], { env: as(rotated.credential) }).stderr).toMatch(/CREDENTIAL_REFUSED/);
  });

  it("lists subscribers, rotates audience keys, and waits for a revocation", { timeout: 60_000 }, () => {
    expect(answerOf(["subscribers"])).toMatchObject({ revision: expect.any(String) });
    expect(ichor(["subscribers"]).stdout).toMatch(/^ID +KEY +SERVER/);
    expect(answerOf(["audience-keys", "rotate", "https://x.example"]).generation).toBe("2");
    const { apiKey } = answerOf(["keys", "issue", "--name", "k"]);
    const { stdout } = ichor(["keys", "revoke", apiKey.id, "--wait", "10s"]);
    expect(stdout).toMatch(/\napplied {5}everywhere\n$/);
  });

  it("makes another root credential for who has the store and the master key", { timeout: 60_000 }, () => {
    const file = join(folder.path, "second.key");
    const { keyId } = answerOf(["root-credential", "new", "--to", file]);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const env = { ICHOR_CREDENTIAL_FILE: file };
    expect(answerOf(["self", "show"], env)).toMatchObject({ apiKey: { id: keyId }, scopes: ["ichor:*"] });
    const events = answerOf(["audit", "list", "--filter", 'action = "NewRootCredential"'], env).auditEvents;
    expect(events).toHaveLength(1);

    const again = ichor(["root-credential", "new", "--to", file]);
    expect(again).toEqual({ status: 3, stdout: "", stderr: expect.stringMatching(/is there already/) });
    expect(readFileSync(file, "utf8")).not.toBe("");
    expect(answerOf(["audit", "list", "--filter", 'action = "NewRootCredential"'], env).auditEvents).toEqual(events);
  });

  it("takes server, credential file and tenant of a profile, under the environment", { timeout: 60_000 }, () => {
    const home = join(folder.path, "home", ".config", "ichor");
    mkdirSync(home, { recursive: true });
    const credentialFile = join(folder.path, "root.key");
    writeFileSync(join(home, "prod.yaml"), `url: ${server.url}\ncredentialFile: ${credentialFile}\n`);
    const env = { HOME: join(folder.path, "home"), ICHOR_URL: "", ICHOR_DATA_DIR: "/nowhere" };
    expect(answerOf(["--profile", "prod", "self", "show"], env).scopes).toEqual(["ichor:*"]);
    expect(answerOf(["self", "show"], { ...env, ICHOR_PROFILE: "prod" }).scopes).toEqual(["ichor:*"]);
    expect(answerOf(["--profile", join(home, "prod.yaml"), "self", "show"], env).scopes).toEqual(["ichor:*"]);

    writeFileSync(join(home, "bad.yaml"), "url: ftp://x\ncredential: ichor_sk_secret\nlisten: 1\n");
    const { status, stderr } = ichor(["--profile", "bad", "self", "show"], { env });
    expect(status).toBe(2);
    expect(stderr).toMatch(/has 3 faults/);
    expect(stderr).toMatch(/name it as credentialFile/);
    expect(stderr).not.toContain("ichor_sk_secret");
  });

  it("completes its commands and options in bash", { timeout: 60_000 }, () => {
    const script = join(folder.path, "completion.bash");
    writeFileSync(script, ichor(["completion", "bash"]).stdout);
    const completed = (...words: string[]) => {
      const set = `COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")}); COMP_CWORD=${words.length - 1}`;
      const lines = execFileSync("bash", ["-c", `. ${script}; ${set}; _ichor; printf '%s\\n' "\${COMPREPLY[@]}"`]);
      return lines.toString().trim().split("\n");
    };
    expect(completed("ichor", "signing")).toEqual(["signing-keys"]);
    expect(completed("ichor", "keys", "r")).toEqual(["rotate", "revoke"]);
    expect(completed("ichor", "--json", "keys", "revoke", "key_x", "--w")).toEqual(["--wait"]);
  });

  it.each(["zsh", "fish"])("prints a completion for %s that names every command", (shell) => {
    const { stdout } = ichor(["completion", shell]);
    for (const command of ["keys", "audience-keys", "root-credential", "--wait"]) expect(stdout).toContain(command);
  });
});
