import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, expect, it } from "vitest";
import { openStore } from "../../services/store/open-store.ts";
import { inserting, sampleAudit, sampleKey, sampleTenant } from "../contract/samples.ts";
import { runIchor } from "../support/command-line.ts";
import { plainEnvironment, temporaryFolder } from "../support/server-process.ts";
import "../support/build-dist.ts";

const main = new URL("../../dist/services/main.js", import.meta.url).pathname;
const folder = temporaryFolder("copy-killed");
afterAll(folder.remove);

it("finishes a copy of a store whose process was killed, by the same command", { timeout: 60_000 }, async () => {
  const [from, to] = [`file:${join(folder.path, "from.db")}`, `file:${join(folder.path, "to.db")}`];
  const log = { info() {}, error() {} };
  const store = await openStore({ url: from, migrate: true, clock: { now: Date.now }, random: randomBytes, log });
  const tenant = sampleTenant();
  await store.mutate(async (tx) => {
    await tx.insertTenant(tenant);
    const change = { kind: "tenant", tenantId: tenant.id, event: "created" } as const;
    return { result: 0, change, audit: sampleAudit(tenant.id) };
  });
  const keys = Array.from({ length: 5_000 }, () => sampleKey(tenant.id, { scopes: ["a:b"], labels: { env: "prod" } }));
  await store.mutate(inserting(...keys));
  await store.close();

  const command = ["--json", "store", "copy", "--from", from, "--to", to];
  const child = spawn(process.execPath, [main, ...command], {
    env: plainEnvironment(),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const ended = once(child, "close");
  // Its first word is of its first page.
  createInterface({ input: child.stderr }).once("line", () => child.kill("SIGKILL"));
  expect(await ended).toEqual([null, "SIGKILL"]);

  const options = { cwd: folder.path, env: {} };
  const serve = runIchor(["serve"], { cwd: folder.path, env: { ICHOR_DATABASE_URL: to, ICHOR_DATA_DIR: folder.path } });
  expect(serve).toMatchObject({ status: 3, stderr: expect.stringContaining("an unfinished copy") });
  const { status, stdout } = runIchor(command, options);
  expect(status).toBe(0);
  const report = JSON.parse(stdout);
  expect(report.resumedAt).toBeGreaterThan(0);
  const rows = Object.fromEntries(report.tables.map((one: { table: string; rows: number }) => [one.table, one.rows]));
  expect(rows).toMatchObject({ api_key: 5_000, secret_version: 5_000, key_scope: 5_000, key_label: 5_000 });
  const again = runIchor(["store", "copy", "--from", from, "--to", to], options);
  expect(again).toMatchObject({ status: 0, stdout: expect.stringContaining("the copy was finished before") });
  const opened = runIchor(["store", "unfence", "--from", from], options);
  expect(opened).toMatchObject({ status: 0, stdout: expect.stringContaining("open again") });
});
