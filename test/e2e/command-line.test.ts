import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runIchor } from "../support/command-line.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("commands");
let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ dataDir: folder.path });
});
afterAll(async () => {
  expect(await server?.stop()).toBe(0);
  folder.remove();
});

/** Runs it as who has the data directory. */
function ichor(args: readonly string[], input?: string) {
  const env = { ICHOR_DATA_DIR: folder.path, ICHOR_URL: server.url };
  return runIchor(args, { cwd: folder.path, env, ...(input && { input }) });
}

function answerOf(...args: string[]) {
  const { status, stdout, stderr } = ichor(["--json", "keys", ...args]);
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout);
}

function verify(credential: string) {
  const { status, stdout } = ichor(["--json", "keys", "verify"], `${credential}\n`);
  return { status, code: JSON.parse(stdout).code };
}

describe("ichor keys", () => {
  it("plays the life of a key", { timeout: 60_000 }, () => {
    const issued = answerOf("issue", "--name", "ci", "--scope", "a:read", "b:*", "--ttl", "1h", "--label", "env=prod");
    const { id } = issued.apiKey;
    expect(issued.apiKey).toMatchObject({ name: "ci", scopes: ["a:read", "b:*"], labels: { env: "prod" } });
    const rotated = answerOf("rotate", id, "--grace", "1h");
    expect(verify(issued.credential)).toEqual({ status: 0, code: "VERIFICATION_CODE_VALID" });
    answerOf("end-grace", id);
    expect(verify(issued.credential)).toEqual({ status: 1, code: "VERIFICATION_CODE_REVOKED" });
    expect(answerOf("disable", id).apiKey.status).toBe("KEY_STATUS_DISABLED");
    expect(verify(rotated.credential)).toEqual({ status: 1, code: "VERIFICATION_CODE_DISABLED" });
    expect(answerOf("enable", id).apiKey.status).toBe("KEY_STATUS_ACTIVE");
    expect(answerOf("revoke", id, "--reason", "superseded").apiKey.revocation.reason).toBe(
      "REVOCATION_REASON_SUPERSEDED",
    );
    answerOf("delete", id);
    const gone = ichor(["keys", "get", id]);
    expect(gone).toEqual({ status: 3, stdout: "", stderr: expect.stringMatching(/^ichor: KEY_NOT_FOUND: /) });
  });

  it("never shows a credential that can't be sent", () => {
    const file = join(folder.path, "two-lines");
    writeFileSync(file, "ichor_sk_SECRET\nichor_sk_OTHER\n", { mode: 0o600 });
    const env = { ICHOR_URL: server.url, ICHOR_CREDENTIAL_FILE: file };
    const { status, stdout, stderr } = runIchor(["keys", "get", "key_x"], { cwd: folder.path, env });
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(/the credential has characters/);
    expect(stderr).not.toMatch(/SECRET|OTHER| at /);
  });

  it("names each refused field", () => {
    expect(ichor(["keys", "issue", "--name", "x", "--scope", "a b", "--prefix", "nobody's"])).toEqual({
      status: 3,
      stdout: "",
      stderr: expect.stringMatching(/^ichor: INVALID_FIELD: .*\n {2}- scopes\[0\] is not a scope\n/),
    });
  });

  it.each([
    [["issue"], /required option '--name <name>'/],
    [["issue", "--name", "x", "--ttl", "soon"], /Use a number with s, m, h or d, as 30d/],
    [["issue", "--name", "x", "--ttl", "1h", "--never-expires"], /--ttl and --never-expires exclude each other/],
    [["issue", "--name", "x", "--label", "prod"], /--label takes name=value/],
    [["revoke", "key_x", "--reason", "bored"], /--reason must be one of unspecified, key_compromise/],
    [["get"], /missing required argument 'key-id'/],
  ])("refuses the line %j without a call", (args, message) => {
    expect(ichor(["keys", ...args])).toEqual({ status: 2, stdout: "", stderr: expect.stringMatching(message) });
  });
});

describe("ichor migrate", () => {
  it("says what it did, and that there was nothing to do", () => {
    const env = { ICHOR_DATA_DIR: `${folder.path}/other` };
    const migrate = (...options: string[]) => runIchor([...options, "migrate"], { cwd: folder.path, env }).stdout;
    const { applied } = JSON.parse(migrate("--json"));
    expect(applied[0]).toMatch(/^\d{14}_init$/);
    expect(applied).toEqual([...applied].sort());
    expect(migrate()).toBe("the schema was up to date\n");
  });
});

describe("ichor doctor", () => {
  it("tells by its status whether something is wrong, beside a running server", () => {
    const { status, stdout } = ichor(["--json", "doctor"]);
    expect(status).toBe(0);
    const { findings } = JSON.parse(stdout);
    expect(findings).toContainEqual({ name: "servers", status: "ok", message: "1 of them follows the log" });
    const nowhere = runIchor(["doctor"], { cwd: folder.path, env: { ICHOR_DATA_DIR: `${folder.path}/nowhere` } });
    expect(nowhere).toEqual({
      status: 1,
      stderr: "",
      stdout: expect.stringMatching(
        /^OK {4}data_dir: [\s\S]*\nFAIL {2}store: .*doesn't exist\n {6}see ICHOR_DATABASE_URL/,
      ),
    });
  });
});
