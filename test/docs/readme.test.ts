import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, symlinkSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CodeBlock, codeBlocksOf } from "../support/markdown.ts";
import { plainEnvironment, temporaryFolder } from "../support/server-process.ts";
import { type Shell, startShell } from "../support/shell.ts";

const addressInReadme = "127.0.0.1:8420";
const blocks = codeBlocksOf("README.md");
const steps = stepsOf(blocks);

/** Commands, and what the page says that they print. */
interface Step {
  readonly commands: string;
  readonly expected: readonly CodeBlock[];
}

// A folder like a clone, but with a data directory of its own.
const folder = temporaryFolder("readme");
let server: ChildProcess;
let address: string;
let shell: Shell;
/** All that was printed so far: where a reader looks for what a `…` stands for. */
let printed = "";

beforeAll(async () => {
  for (const name of ["package.json", "node_modules", "scripts", "dist", "docs", "gen", "proto"]) {
    symlinkSync(resolve(name), join(folder.path, name));
  }
  const { line } = await start(steps[0]?.commands ?? "");
  address = new URL(JSON.parse(line).address).host;
  expectPrinted(steps[0]?.expected ?? [], line);
  shell = startShell(folder.path, { ...plainEnvironment(), ICHOR_URL: `http://${address}` });
});
afterAll(async () => {
  await shell?.close();
  const ended = new Promise((done) => server.once("close", done));
  // As Ctrl-C: to npm and all that it started.
  process.kill(-(server.pid as number), "SIGINT");
  await ended;
  folder.remove();
});

describe("the README", () => {
  it("says of everything that isn't run here why", () => {
    const notRun = blocks.filter((block) => block.notRun !== undefined).map(({ text }) => text.split(" ").slice(0, 2));
    expect(notRun.map((words) => words.join(" ").trim())).toEqual(["git clone", "npm test", "grpcurl -plaintext"]);
    expect(steps.length).toBeGreaterThanOrEqual(10);
  });

  it("shows the example as it is", () => {
    const typescript = blocks.filter(({ language }) => language === "ts").map(({ text }) => text);
    expect(typescript).toEqual([readFileSync("docs/examples/first-call.ts", "utf8")]);
  });

  it.each(steps.slice(1))("prints what it says: $commands", async ({ commands, expected }) => {
    const { status, stdout, stderr } = await shell.run(filledIn(commands));
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    printed += stdout;
    expectPrinted(expected, stdout);
  });
});

function stepsOf(all: readonly CodeBlock[]): readonly Step[] {
  const found: { commands: string; expected: CodeBlock[] }[] = [];
  for (const block of all) {
    if (block.notRun !== undefined || block.language === "ts") continue;
    if (block.language === "sh") found.push({ commands: block.text.trimEnd(), expected: [] });
    else found.at(-1)?.expected.push(block);
  }
  return found;
}

/** Runs the command that starts the server; gives the line in which it says where it listens. */
function start(command: string): Promise<{ line: string }> {
  server = spawn("bash", ["-c", command], {
    cwd: folder.path,
    env: { ...plainEnvironment(), ICHOR_LISTEN: "127.0.0.1:0" },
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  return new Promise((found, failed) => {
    const lines = createInterface({ input: server.stdout as NodeJS.ReadableStream });
    lines.on("line", (line) => {
      if (line.includes('"msg":"listening"')) found({ line });
    });
    lines.once("close", () => failed(new Error(`"${command}" ended without listening`)));
  });
}

/** Puts the server's address, and for each `…` of a command what was printed last, as a reader would. */
function filledIn(commands: string): string {
  return commands.replaceAll(addressInReadme, address).replace(/\b([a-z_]+_)…/g, (_, prefix) => {
    const last = [...printed.matchAll(new RegExp(`\\b${prefix}[0-9A-Za-z]{26,}`, "g"))].at(-1)?.[0];
    if (last === undefined) throw new Error(`nothing was printed that begins with ${prefix}`);
    return last;
  });
}

function expectPrinted(expected: readonly CodeBlock[], stdout: string): void {
  const [first] = expected;
  if (first?.language === "text") {
    expect(expected).toHaveLength(1);
    expect(stdout.trimEnd()).toMatch(wholePattern(first.text.trimEnd()));
    return;
  }
  const values = documentsOf(stdout);
  expect(values).toHaveLength(expected.length);
  expected.forEach(({ text }, i) => {
    expect(values[i]).toEqual(asMatcher(JSON.parse(text.replaceAll(addressInReadme, address))));
  });
}

/** JSON documents, one a line or one over several. */
function documentsOf(text: string): readonly unknown[] {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  try {
    return lines.map((line) => JSON.parse(line));
  } catch {
    return [JSON.parse(text)];
  }
}

/** A `…` in a string stands for anything; a member `…` for any others. */
function asMatcher(value: unknown): unknown {
  if (typeof value === "string") return value.includes("…") ? expect.stringMatching(wholePattern(value)) : value;
  if (Array.isArray(value)) return value.map(asMatcher);
  if (typeof value !== "object" || value === null) return value;
  const { "…": more, ...members } = value as Record<string, unknown>;
  const matched = Object.fromEntries(Object.entries(members).map(([name, member]) => [name, asMatcher(member)]));
  return more === undefined ? matched : expect.objectContaining(matched);
}

function wholePattern(text: string): RegExp {
  return new RegExp(`^${text.split("…").map(escaped).join("[^\\n]+")}$`);
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}
