import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { lineCount, type Rule, ruleNames, type SourceTree, violationsOf } from "./support/architecture.ts";

const tree = readTree("services");

describe("structure of services/", () => {
  it("sees the files it judges", () => {
    const paths = [...tree.keys()];
    expect(paths.length).toBeGreaterThanOrEqual(60);
    for (const part of ["admin", "cli", "core", "mutation", "rpc", "store", "verification", "wire"]) {
      expect(paths.filter((path) => path.startsWith(`services/${part}/`)).length, part).toBeGreaterThanOrEqual(2);
    }
    expect(paths).toEqual(expect.arrayContaining(["services/main.ts", "services/config/environment.ts"]));
  });

  it("keeps the dependency rule and the rules for files", () => {
    expect(violationsOf(tree).map(({ rule, file, detail }) => `${file}: ${rule}: ${detail}`)).toEqual([]);
  });

  it("has short files (the lengths are in the log)", () => {
    const lengths = [...tree.values()].map(lineCount).sort((a, b) => a - b);
    const at = (share: number) => lengths[Math.floor(share * (lengths.length - 1))] ?? 0;
    process.stdout.write(`services/: ${lengths.length} files, median ${at(0.5)} lines, p90 ${at(0.9)}, max ${at(1)}\n`);
    expect(at(0.5)).toBeLessThanOrEqual(120);
    expect(at(0.9)).toBeLessThanOrEqual(280);
  });
});

describe("the rules for structure", () => {
  const sound = {
    "services/main.ts": `import { build } from "./app.ts"; process.exitCode = await build(process.env);`,
    "services/app.ts": `import { openStore } from "./store/prisma-store.ts"; export const build = () => openStore();`,
    "services/config/environment.ts": `export const read = () => process.env;`,
    "services/admin/issue.ts": `import type { Store } from "../store/port.ts"; import { A } from "../../gen/ichor/v1/a_pb.ts"; import { mint } from "../core/mint.ts";\nexport const issue = (store: Store) => [store, A, mint];`,
    "services/store/port.ts": `export interface Store { close(): void }`,
    "services/store/prisma-store.ts": `import { PrismaClient } from "../../gen/prisma/sqlite/client.ts"; import { x } from "@prisma/client";\nexport const openStore = () => [PrismaClient, x];`,
    "services/core/mint.ts": `import { randomBytes } from "node:crypto"; // process.env\nexport const mint = () => randomBytes(8);`,
    "services/client/index.ts": `export { connect } from "./connect.ts";`,
    "services/client/connect.ts": `export const connect = 1;`,
  };

  it("find nothing in a sound tree", () => {
    expect(violationsOf(new Map(Object.entries(sound)))).toEqual([]);
  });

  const planted: readonly [Rule, string, string][] = [
    ["folder boundaries", "services/admin/a.ts", `import { b } from "../self/b.ts"; export const a = b;`],
    ["folder boundaries", "services/derivation/a.ts", `import type { B } from "../admin/b.ts"; export type A = B[];`],
    [
      "folder boundaries",
      "services/core/a.ts",
      `import type { Store } from "../store/port.ts"; export type A = Store[];`,
    ],
    ["folder boundaries", "services/rpc/a.ts", `export const a = () => import("../http/b.ts");`],
    ["folder boundaries", "services/verification/a.ts", `import { b } from "../rpc/call.ts"; export const a = b;`],
    ["folder boundaries", "services/wire/a.ts", `import "../app.ts"; export const a = 1;`],
    ["folder boundaries", "services/helpers/a.ts", `export const a = 1;`],
    [
      "adapters are constructed by app.ts",
      "services/cli/a.ts",
      `import { b } from "../store/b.ts"; export const a = b;`,
    ],
    [
      "adapters are constructed by app.ts",
      "services/rpc/a.ts",
      `import type { B } from "../store/prisma-store.ts"; export type A = B | 1;`,
    ],
    ["core is pure", "services/core/a.ts", `import { readFileSync } from "node:fs"; export const a = readFileSync;`],
    ["core is pure", "services/core/deep/a.ts", `import pino from "pino"; export const a = pino;`],
    [
      "generated API code stays at the edge",
      "services/core/a.ts",
      `import { B } from "../../gen/ichor/v1/b_pb.ts"; export const a = B;`,
    ],
    [
      "generated API code stays at the edge",
      "services/store/a.ts",
      `import type { B } from "../../gen/ichor/v1/b_pb.ts"; export type A = B[];`,
    ],
    [
      "Prisma stays in store/prisma-*",
      "services/store/a.ts",
      `import type { P } from "@prisma/client"; export type A = P[];`,
    ],
    [
      "Prisma stays in store/prisma-*",
      "services/admin/a.ts",
      `import {\n  b,\n} from "../../gen/prisma/sqlite/client.ts";\nexport const a = b;`,
    ],
    ["imports name a file", "services/core/a.ts", `import { b } from "./b"; export const a = b;`],
    ["only config/environment.ts reads the environment", "services/app.ts", `export const a = process.env.HOME;`],
    [
      "only config/environment.ts reads the environment",
      "services/cli/a.ts",
      `import { env } from "node:process"; export const a = env;`,
    ],
    ["only main.ts exits", "services/http/a.ts", `export const a = () => process.exit(1);`],
    ["only main.ts exits", "services/cli/a.ts", `export const a = () => { process.exitCode = 1; };`],
    ["no default exports", "services/core/a.ts", `export default 1;`],
    [
      "no barrels",
      "services/core/index.ts",
      `// All of it.\nexport * from "./mint.ts";\nexport type { A } from "./a.ts";`,
    ],
    ["no barrels", "services/core/all.ts", `import { mint } from "./mint.ts";\nexport { mint };`],
    ["kebab-case file names", "services/core/someThing.ts", `export const a = 1;`],
    ["kebab-case file names", "services/core/Deep/a.ts", `export const a = 1;`],
    ["short files", "services/core/a.ts", "export const a = 1;\n".repeat(401)],
    [
      "no cycles",
      "services/store/port.ts",
      `import type { openStore } from "./prisma-store.ts"; export type A = typeof openStore | 1;`,
    ],
  ];

  it.each(planted)("find what breaks “%s” in %s", (rule, path, source) => {
    const extra = {
      "services/store/prisma-store.ts": `${sound["services/store/prisma-store.ts"]} import "./port.ts";`,
    };
    const found = violationsOf(new Map(Object.entries({ ...sound, ...extra, [path]: source })));
    expect(found.map((violation) => violation.rule)).toContain(rule);
    expect(new Set(found.map((violation) => violation.rule)).size).toBe(1);
    expect(found.every(({ file }) => file === path || rule === "no cycles")).toBe(true);
  });

  it("are all shown to find something", () => {
    expect(new Set(planted.map(([rule]) => rule))).toEqual(new Set(ruleNames));
  });
});

function readTree(folder: string): SourceTree {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  const paths = entries
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => join(entry.parentPath, entry.name));
  return new Map(paths.map((path) => [path, readFileSync(path, "utf8")]));
}
