import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { codeBlocksOf } from "../support/markdown.ts";
import { plainEnvironment, type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";
import { type Shell, startShell } from "../support/shell.ts";

const folder = temporaryFolder("audit-page");
const blocks = codeBlocksOf("docs/operate/audit.md");
let server: ServerProcess;
let shell: Shell;

beforeAll(async () => {
  server = await startServer({ dataDir: folder.path });
  shell = startShell(folder.path, { ...plainEnvironment(), ICHOR_URL: server.url, ICHOR_DATA_DIR: folder.path });
  await shell.run(`ichor() { '${process.execPath}' '${resolve("dist/services/main.js")}' "$@"; }`);
});
afterAll(async () => {
  await shell.close();
  await server.stop();
  folder.remove();
});

describe("docs/operate/audit.md", () => {
  it("has commands", () => {
    expect(blocks.length).toBeGreaterThanOrEqual(4);
    expect(blocks.filter(({ language, notRun }) => language !== "sh" || notRun !== undefined)).toEqual([]);
  });

  it.each(blocks)("has commands that run: $text", { timeout: 60_000 }, async ({ text }) => {
    // One after the other, and stop at the first that fails.
    const { status, stdout } = await shell.run(text.trim().split("\n").join(" &&\n"));
    expect(status, stdout).toBe(0);
  });
});
