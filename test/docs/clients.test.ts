import { execFileSync } from "node:child_process";
import { cpSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { codeBlocksOf } from "../support/markdown.ts";
import { requirement } from "../support/requirements.ts";
import { plainEnvironment, type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const page = "docs/clients.md";
const blocks = codeBlocksOf(page);
const commandsOf = (word: string) => blocks.find(({ language, text }) => language === "sh" && text.includes(word));
const [expected] = blocks.filter(({ language }) => language === "text").map(({ text }) => text.trimEnd());

const data = temporaryFolder("clients-data");
let server: ServerProcess;
beforeAll(async () => {
  server = await startServer({ dataDir: data.path });
});
afterAll(async () => {
  await server.stop();
  data.remove();
});

/** Does what the page says, in a folder as it says. */
function follow(language: string, commands: string): void {
  const folder = temporaryFolder(language);
  const files = join("docs/examples/clients", language);
  for (const name of readdirSync(files)) cpSync(join(files, name), join(folder.path, name));
  cpSync("proto", join(folder.path, "proto"), { recursive: true });
  symlinkSync(resolve("node_modules"), join(folder.path, "node_modules"));
  writeFileSync(join(folder.path, "package.json"), '{ "type": "module" }');
  const env = { ...plainEnvironment(), ICHOR_URL: server.url, ICHOR_CREDENTIAL: server.rootCredential };
  const printed = execFileSync("bash", ["-ec", commands], { cwd: folder.path, env, encoding: "utf8" });
  const pattern = (expected ?? "").split("…").map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  expect(printed.trimEnd()).toMatch(new RegExp(`^${pattern.join("\\w+")}$`));
  folder.remove();
}

it("says of the recipes that aren't run here why", () => {
  const languages = readdirSync("docs/examples/clients").sort();
  expect(languages).toEqual(["go", "java", "python", "typescript"]);
  expect(blocks.filter(({ notRun }) => notRun !== undefined).map(({ text }) => text.split(" ")[0])).toEqual([
    "go",
    "buf",
  ]);
});

it("makes a TypeScript client that issues, derives and watches", { timeout: 120_000 }, () => {
  follow("typescript", commandsOf("npx tsc")?.text ?? "");
});

(await requirement("python")).describe("with Python's gRPC", () => {
  it("makes a Python client that issues, derives and watches", { timeout: 120_000 }, () => {
    follow("python", commandsOf("calls.py")?.text ?? "");
  });
});
