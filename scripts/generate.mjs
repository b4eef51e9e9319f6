// Makes gen/ from proto/ and prisma/, and docs/reference/ from proto/ and services/config: `node scripts/generate.mjs`.
// With `--check` it generates into a temporary folder and fails with the list of files that differ. No network.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { generateDocs } from "./generate-docs.mjs";
import { readModels } from "./models.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Databases that a Prisma client is generated for. */
const providers = ["sqlite", "postgresql", "mysql", "cockroachdb"];

/** Folders that hold what is generated, and nothing else but the files that are written by hand. */
const outputs = [
  { folder: "gen", generate: generateCode },
  { folder: "docs/reference", generate: (target) => generateDocs(root, target), byHand: ["tokens.md"] },
];

const check = process.argv.includes("--check");
// Always aside first, so that nothing is ever half made; within the repository, so that imports resolve as in gen/.
const made = mkdtempSync(join(root, ".build-gen-"));
try {
  const stale = [];
  for (const { folder, generate, byHand = [] } of outputs) {
    await generate(join(made, folder));
    const names = differences(join(root, folder), join(made, folder)).filter((name) => !byHand.includes(name));
    if (!check) replace(folder, names);
    stale.push(...names.map((name) => `  ${folder}/${name}`));
  }
  if (check && stale.length > 0) {
    console.error(`generated files are not fresh; run "npm run generate". Files that differ:\n${stale.join("\n")}`);
    process.exitCode = 1;
  }
} finally {
  rmSync(made, { recursive: true, force: true });
}

function generateCode(target) {
  run("buf", ["generate", "--template", bufTemplate(target)]);
  for (const provider of providers) {
    const schema = join(target, "schema", provider, "schema.prisma");
    mkdirSync(dirname(schema), { recursive: true });
    writeFileSync(schema, composeSchema(provider));
    // The engine is only needed for migrations that Prisma runs; without these settings it would be downloaded.
    run("prisma", ["generate", "--schema", schema], {
      PRISMA_SCHEMA_ENGINE_BINARY: "/bin/true",
      CHECKPOINT_DISABLE: "1",
    });
  }
  writeFileSync(join(target, "prisma", "tables.ts"), tablesModule());
}

/** What the tables are called, for SQL that works on all of them. */
function tablesModule() {
  const tables = readModels(join(root, "prisma/models.prisma")).map(({ table, fields, primaryKey }) => ({
    name: table,
    columns: fields.map(({ column }) => column),
    primaryKey,
  }));
  return `// Made by scripts/generate.mjs from prisma/models.prisma, in its order.
export const tables = ${JSON.stringify(tables, null, 2)} as const;
`;
}

function replace(folder, names) {
  for (const name of names) {
    const path = join(root, folder, name);
    const text = contents(join(made, folder), name);
    if (text === undefined) {
      rmSync(path);
      continue;
    }
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
  }
}

/** buf.gen.yaml with its output moved to `target`. */
function bufTemplate(target) {
  const template = readFileSync(join(root, "buf.gen.yaml"), "utf8");
  return template.replaceAll(/^(\s*out: )gen$/gm, `$1${relative(root, target)}`);
}

/** The models behind the generator and the datasource of a provider. */
function composeSchema(provider) {
  return `// Composed by scripts/generate.mjs from prisma/models.prisma.
generator client {
  provider               = "prisma-client"
  output                 = "../../prisma/${provider}"
  runtime                = "nodejs"
  moduleFormat           = "esm"
  generatedFileExtension = "ts"
  importFileExtension    = "ts"
  compilerBuild          = "small"
}

datasource db {
  provider = "${provider}"
}

${readFileSync(join(root, "prisma/models.prisma"), "utf8")}`;
}

function run(tool, args, env = {}) {
  execFileSync(join(root, "node_modules/.bin", tool), args, {
    cwd: root,
    env: { ...process.env, ...env, PATH: `${join(root, "node_modules/.bin")}${delimiter}${process.env.PATH}` },
    stdio: ["ignore", "ignore", "inherit"],
  });
}

/** Paths of files that are missing or other on one side. */
function differences(left, right) {
  const names = new Set([...filesOf(left), ...filesOf(right)]);
  return [...names].filter((name) => contents(left, name) !== contents(right, name)).sort();
}

function filesOf(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)));
}

function contents(folder, name) {
  try {
    return readFileSync(join(folder, name), "utf8");
  } catch {
    return undefined;
  }
}
