import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callJson } from "../support/calls.ts";
import { runIchor, startIchor } from "../support/command-line.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("audit");
const inFolder = (name: string) => join(folder.path, name);
let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ dataDir: folder.path });
});
afterAll(async () => {
  expect(await server?.stop()).toBe(0);
  folder.remove();
});

const where = () => ({ cwd: folder.path, env: { ICHOR_DATA_DIR: folder.path, ICHOR_URL: server.url } });
const audit = (...args: string[]) => runIchor(["audit", ...args], where());
const issue = () => callJson(server.url, "AdminService/IssueApiKey", server.rootCredential, { name: "k" });

/** Changes the database past the server. */
function tamper(...statements: string[]): void {
  const database = new Database(inFolder("ichor.db"));
  for (const sql of statements) database.prepare(sql).run();
  database.close();
}

describe("ichor audit", () => {
  it("lists, exports and verifies the trail, and finds what was done to the database past the server", {
    timeout: 90_000,
  }, async () => {
    for (let i = 0; i < 3; i++) await issue();
    // Revision 5; the key hands over by a checkpoint of revision 4.
    expect(audit("rotate-key").status).toBe(0);
    await issue();
    const { auditCheckpoints } = JSON.parse(runIchor(["--json", "audit", "checkpoints"], where()).stdout);
    expect(auditCheckpoints.map((one: { revision: string }) => one.revision)).toEqual(["1", "4"]);
    const kept = inFolder("kept.log");
    // The first as the server's log has it, the second by itself.
    const logged = server.log.filter((line) => line.includes('"audit checkpoint"'));
    expect(logged).toHaveLength(1);
    writeFileSync(kept, `${logged[0]}\n${auditCheckpoints[1].statement}\n`);

    const listed = audit("list", "--filter", "action = IssueApiKey", "--oldest-first");
    expect(listed.stdout.split("\n").map((line) => line.split(/\s+/)[0])).toEqual(["REVISION", "2", "3", "4", "6", ""]);
    expect(audit("verify", "--checkpoints", kept)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/right up to revision 6/),
    });

    const file = inFolder("trail.jsonl");
    expect(audit("export", "--out", file).status).toBe(0);
    const whole = readFileSync(file, "utf8");
    truncateSync(file, whole.length - 100);
    expect(audit("export", "--out", file)).toMatchObject({
      status: 0,
      stdout: `${file} holds the trail up to revision 6\n`,
    });
    expect(readFileSync(file, "utf8")).toBe(whole);
    const offline = (name = "trail.jsonl") =>
      runIchor(["audit", "verify", "--file", inFolder(name), "--checkpoints", kept], { cwd: folder.path, env: {} });
    expect(offline()).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^nothing is wrong\nright up to revision 6, borne out by 2 checkpoints/),
    });
    writeFileSync(inFolder("forged.jsonl"), whole.replace("IssueApiKey", "GetApiKey"));
    expect(offline("forged.jsonl")).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^revision 2: its audit event was changed\n/),
    });
    expect(audit("export", "--format", "csv").stdout.split("\n")).toHaveLength(8);

    const copy = "CREATE TABLE kept AS SELECT * FROM audit_event";
    const restore = ["DELETE FROM audit_event", "INSERT INTO audit_event SELECT * FROM kept"];
    tamper(copy, "UPDATE audit_event SET request_id = 'x' WHERE revision = 3");
    expect(audit("verify")).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^revision 3: its audit event was changed\n/),
    });
    tamper(...restore, "DELETE FROM audit_event WHERE revision = 4");
    expect(audit("verify")).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^revision 4: its audit event was removed\n/),
    });
    tamper(
      ...restore,
      ...["-1 WHERE revision = 2", "2 WHERE revision = 4", "4 WHERE revision = -1"].map(
        (set) => `UPDATE audit_event SET revision = ${set}`,
      ),
    );
    expect(audit("verify")).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^revision 2: it changed places with revision 4\n/),
    });
    tamper(...restore, "DELETE FROM audit_checkpoint");
    expect(audit("verify")).toMatchObject({ status: 0 });
    await server.stop();
    tamper(...["change_log", "audit_event"].map((table) => `DELETE FROM ${table} WHERE revision > 2`));
    tamper("UPDATE store_head SET revision = 2, hash = (SELECT hash FROM change_log WHERE revision = 2)");
    server = await startServer({ dataDir: folder.path });
    expect(audit("verify")).toMatchObject({ status: 0 });
    expect(audit("verify", "--checkpoints", kept)).toMatchObject({
      status: 1,
      stdout: expect.stringMatching(/^revision 3: it and all that followed were cut off; checkpoint 2 tells of them\n/),
    });
  });

  it("follows the trail, and goes on where the run before ended", { timeout: 30_000 }, async () => {
    const state = inFolder("watch.json");
    const watch = () =>
      startIchor(["audit", "watch", "--after", "0", "--action", "IssueApiKey", "--state-file", state], where());
    const keyId = async () => (await issue()).body.apiKey.id;
    const [early, last] = [await keyId(), await keyId()];
    const first = watch();
    expect(JSON.parse(await first.line((line) => line.includes(early)))).toMatchObject({ action: "IssueApiKey" });
    await first.line((line) => line.includes(last));
    expect((await first.interrupt()).status).toBe(0);
    const late = await keyId();
    const second = watch();
    await second.line((line) => line.includes(late));
    const live = await keyId();
    await second.line((line) => line.includes(live));
    expect(second.lines).toHaveLength(2);
    expect((await second.interrupt()).status).toBe(0);
  });
});
