import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import Database from "better-sqlite3";
import { afterAll, expect, it } from "vitest";
import { callJson } from "../support/calls.ts";
import { startIchor } from "../support/command-line.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("secret-rotation");
let server: ServerProcess;
afterAll(async () => {
  expect(await server?.stop()).toBe(0);
  folder.remove();
});

const ran = new Set<string>();

/** Runs it beside the server, with the data directory at hand. */
async function ichor(...args: string[]) {
  ran.add(args.slice(0, 2).join(" "));
  const command = startIchor(["--json", ...args], { cwd: folder.path, env: { ICHOR_DATA_DIR: folder.path } });
  const { status, stderr } = await command.ended;
  return { status, stderr, answer: command.lines.length === 0 ? undefined : JSON.parse(command.lines.join("\n")) };
}

const admin = (method: string, body: object) =>
  callJson(server.url, `AdminService/${method}`, server.rootCredential, body);

/** Verifies credentials over and over on some connections, until it is stopped; gives every answer that wasn't the expected. */
function verifyAlways(expected: ReadonlyMap<string, string>) {
  const wrong: unknown[] = [];
  let count = 0;
  let running = true;
  const connection = async () => {
    while (running) {
      for (const [credential, code] of expected) {
        const answer = await admin("VerifyCredential", { credential }).catch(String);
        count += 1;
        const right = typeof answer !== "string" && answer.status === 200;
        if (!right || answer.body.code !== `VERIFICATION_CODE_${code}`) wrong.push(answer);
      }
      await pause(10);
    }
  };
  const connections = Array.from({ length: 4 }, connection);
  return async () => {
    running = false;
    await Promise.all(connections);
    return { wrong, count };
  };
}

/** Waits until the store has so many secrets under a pepper. */
async function untilBound(pepperId: string, count: number): Promise<void> {
  const database = new Database(join(folder.path, "ichor.db"), { readonly: true });
  const bound = database.prepare("SELECT COUNT(*) FROM secret_version WHERE pepper_id = ?").pluck();
  while ((bound.get(pepperId) as number) < count) await pause(100);
  database.close();
}

it("changes master key and pepper while keys are verified: none is refused, and the counts are right throughout", {
  timeout: 180_000,
}, async () => {
  await (await startServer({ dataDir: folder.path })).stop();
  const file = join(folder.path, "master.key");
  writeFileSync(file, `${randomBytes(32).toString("base64")}\n${readFileSync(file, "utf8")}`);
  server = await startServer({ dataDir: folder.path });
  const issue = async () => (await admin("IssueApiKey", { name: "k" })).body.credential as string;
  const [busy, unseen, imported] = [await issue(), await issue(), "a-credential-of-another-system"];
  await admin("ImportApiKey", { name: "old", raw: imported });
  const stop = verifyAlways(
    new Map([
      [busy, "VALID"],
      [imported, "VALID"],
      ["a-credential-that-nobody-has", "NOT_FOUND"],
    ]),
  );

  const before = (await ichor("secrets", "status")).answer;
  const [old] = before.peppers;
  expect(before.peppers).toEqual([{ ...old, live: 4, dead: 0, tombstones: 0, current: true }]);
  // Under the former key at least a pepper, a macaroon master and the private parts of two signing keys; what the server
  // makes from now on is under the fresh one.
  const [fresh, former] = before.masterKeys;
  expect(fresh).toMatchObject({ loaded: true, current: true });
  expect(former).toMatchObject({ loaded: true, current: false });
  expect(former.secrets).toBeGreaterThanOrEqual(4);

  expect((await ichor("secrets", "rewrap")).answer).toEqual({ moved: former.secrets, stuck: 0 });
  const { pepperId } = (await ichor("secrets", "add-pepper")).answer;
  const during = (await ichor("secrets", "status")).answer;
  expect(during.masterKeys[0].secrets).toBeGreaterThan(fresh.secrets + former.secrets);
  expect(during.masterKeys[1].secrets).toBe(0);
  expect(during.peppers.map(({ pepperId }: { pepperId: string }) => pepperId)).toEqual([pepperId, old.pepperId]);
  expect(during.peppers[0].live + during.peppers[1].live).toBe(4);
  expect((await ichor("secrets", "retire-pepper", pepperId)).stderr).toContain("is the current pepper, or about to be");

  // The root credential, which verifies, and what it verifies.
  await untilBound(pepperId, 3);
  await issue();
  const after = (await ichor("secrets", "status")).answer;
  expect(after.peppers).toMatchObject([
    { pepperId, live: 4, current: true },
    { pepperId: old.pepperId, live: 1, current: false },
  ]);
  const refused = await ichor("secrets", "retire-pepper", old.pepperId);
  expect(refused).toMatchObject({ status: 3, answer: { outcome: "in_use", live: 1, dead: 0 } });
  expect(refused.stderr).toMatch(/is in use .*: 1 live and 0 dead secrets/);

  expect((await admin("VerifyCredential", { credential: unseen })).body.code).toBe("VERIFICATION_CODE_VALID");
  await untilBound(pepperId, 5);
  expect(await ichor("secrets", "retire-pepper", old.pepperId)).toMatchObject({
    status: 0,
    answer: { outcome: "retired", live: 0 },
  });
  expect((await ichor("secrets", "status")).answer.peppers).toMatchObject([{ pepperId, live: 5 }]);
  const { wrong, count } = await stop();
  expect(wrong).toEqual([]);
  expect(count).toBeGreaterThan(1_000);

  const pages = ["peppers", "master-key"].map((page) => readFileSync(`docs/operate/${page}.md`, "utf8")).join("");
  expect(new Set(pages.match(/(?<=`ichor )secrets [a-z-]+/g))).toEqual(ran);
  const text = startIchor(["secrets", "status"], { cwd: folder.path, env: { ICHOR_DATA_DIR: folder.path } });
  expect((await text.ended).status).toBe(0);
  for (const [i, title] of [...text.lines.entries()].filter(([, line]) => /^(PEPPER|MASTER KEY)/.test(line))) {
    expect(text.lines[i + 1]).toMatch(/ current$/);
    expect(pages.replaceAll(/ +/g, " ")).toContain(title.replaceAll(/ +/g, " "));
  }
});
