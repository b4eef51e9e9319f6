import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callJson } from "../support/calls.ts";
import { codeBlocksOf } from "../support/markdown.ts";
import { plainEnvironment, type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";
import { type Shell, startShell } from "../support/shell.ts";

// Runs the commands of docs/operate as they stand there, page by page, in one terminal on one fresh store.

/** Those that end a store or need one of their own; the rest may come in any order. */
const testsOfTheirOwn: Readonly<Record<string, string>> = {
  "backup.md": "test/fault/restore.test.ts",
};
const last = "incidents.md";
const pages = readdirSync("docs/operate")
  .filter((name) => name.endsWith(".md") && testsOfTheirOwn[name] === undefined && name !== last)
  .concat(last);
const isCommand = ({ language }: { language: string }) => language === "sh";

const folder = temporaryFolder("operate");
const audience = "https://api.example";
let server: ServerProcess;
let shell: Shell;

beforeAll(async () => {
  const dataDir = join(folder.path, "data");
  server = await startServer({ dataDir });
  const call = async (method: string, body: unknown, credential = server.rootCredential) => {
    const answer = await callJson(server.url, method, credential, body);
    expect(answer).toMatchObject({ status: 200 });
    return answer.body;
  };
  const work = join(folder.path, "work");
  mkdirSync(work);
  const leaked = await call("AdminService/IssueApiKey", { name: "leaked", scopes: ["a"] });
  const other = await call("AdminService/IssueApiKey", { name: "other", scopes: ["a"] });
  const derived = await call(
    "DerivationService/DeriveToken",
    { format: "TOKEN_FORMAT_JWT", audiences: [audience] },
    other.credential,
  );
  const { signingKeys } = await call("AdminService/ListSigningKeys", {});
  const active = signingKeys.find(({ state }: { state: string }) => state === "SIGNING_KEY_STATE_ACTIVE");
  const self = await call("SelfService/GetSelf", {});
  writeFileSync(join(work, "leaked.txt"), `${leaked.credential}\n`);
  writeFileSync(join(work, "token.txt"), `${derived.token}\n`);
  shell = startShell(work, {
    ...plainEnvironment(),
    PATH: `${commandIn(join(folder.path, "bin"))}:${process.env.PATH}`,
    ICHOR_DATA_DIR: dataDir,
    ICHOR_URL: server.url,
    KEY: leaked.apiKey.id,
    OTHER_KEY: other.apiKey.id,
    OLD_ROOT_KEY: self.apiKey.id,
    SIGNING_KEY: active.id,
    AUDIENCE: audience,
  });
});
afterAll(async () => {
  await shell?.close();
  await server?.stop();
  folder.remove();
});

/** `ichor` for the terminal. `serve` would go on for ever: there it is another server, which may end once it listens. */
function commandIn(bin: string): string {
  mkdirSync(bin);
  const script = `#!/usr/bin/env bash
main=${resolve("dist/services/main.js")}
[[ " $* " == *" serve "* ]] || exec node "$main" "$@"
ICHOR_DATA_DIR=$(mktemp -d ${folder.path}/serve-XXXXXX) ICHOR_LISTEN=127.0.0.1:0 node "$main" "$@" > >(
  while read -r line; do
    echo "$line"
    [[ $line != *'"msg":"listening"'* ]] || kill -TERM "$(cat ${folder.path}/pid)"
  done
) &
echo $! > ${folder.path}/pid
wait $!
`;
  writeFileSync(join(bin, "ichor"), script);
  chmodSync(join(bin, "ichor"), 0o755);
  return bin;
}

describe("the pages on operating", () => {
  it("have commands, and say of each that isn't run here why", () => {
    const all = pages.flatMap((page) => codeBlocksOf(`docs/operate/${page}`).filter(isCommand));
    expect(all.filter(({ notRun }) => notRun === undefined).length).toBeGreaterThanOrEqual(15);
    expect(all.filter(({ notRun }) => notRun !== undefined && notRun.length < 10)).toEqual([]);
  });

  it.each(Object.entries(testsOfTheirOwn))("are run by a test of their own: %s", (page, test) => {
    expect(readdirSync("docs/operate")).toContain(page);
    expect(readdirSync(join(test, ".."))).toContain(test.split("/").at(-1));
  });

  for (const page of pages) {
    const commands = codeBlocksOf(`docs/operate/${page}`).filter(
      (block) => isCommand(block) && block.notRun === undefined,
    );
    if (commands.length === 0) continue;
    it(`have commands that work: ${page}`, { timeout: 180_000 }, async () => {
      for (const { text } of commands) {
        const { status, stdout, stderr } = await shell.run(`(\nset -e\n${text})`);
        expect({ text, status, ...(status !== 0 && { stdout, stderr }) }).toEqual({ text, status: 0 });
      }
    });
  }
});
