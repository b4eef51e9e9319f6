import { codeOnly, importsOf, type ModuleImport, withoutComments } from "./module-imports.ts";

/** Files of services/ by their path from the repository's root. */
export type SourceTree = ReadonlyMap<string, string>;

export interface Violation {
  readonly rule: Rule;
  readonly file: string;
  readonly detail: string;
}

export type Rule = keyof typeof rules;

/** What the files of a folder of services/ (or a file directly in it) may import of others; of their own, anything. */
interface Boundary {
  readonly values: readonly string[];
  /** Also these, but only types: what a caller hands over. */
  readonly types?: readonly string[];
}

/** Folders of a port with its adapters: what others may see of them is the business of a rule of its own. */
const ports = ["store", "keyring", "changes", "limits"];
const handler: Boundary = { values: ["core", "wire", "verification", "mutation", "rpc", ...ports] };

/** The dependency rule: main → app → what serves → core. A new folder of services/ needs a row. */
export const boundaries: Readonly<Record<string, Boundary>> = {
  main: { values: ["cli", "app", "config", "core"] },
  cli: {
    values: [
      "app",
      "secrets-work",
      "sidecar",
      "store-work",
      "diagnose",
      "doctor",
      "client",
      "config",
      "core",
      "durable-file",
      "http",
      "telemetry",
      "verifier",
      "version",
      "wire",
      "workers",
      ...ports,
    ],
    types: ["rpc"],
  },
  app: {
    values: [
      ...[
        "admin",
        "self",
        "derivation",
        "rpc",
        "http",
        "verification",
        "mutation",
        "wire",
        "config",
        "core",
        "bootstrap",
        "key-set-stream",
        "observe-app",
        "telemetry",
        "periodic-work",
      ],
      ...ports,
    ],
    types: ["workers"],
  },
  "key-set-stream": { values: ["core", "derivation", ...ports] },
  "observe-app": { values: ["core"], types: ["derivation", "telemetry", "verification", ...ports] },
  diagnose: { values: ["config", "core", "doctor", "http", ...ports] },
  doctor: { values: ["core", ...ports] },
  "secrets-work": { values: ["root-key", ...ports], types: ["core"] },
  "root-key": { values: ["core", "durable-file", ...ports] },
  "store-work": { values: ["core", ...ports] },
  "periodic-work": { values: ["mutation", ...ports] },
  bootstrap: { values: ["core", "durable-file", "root-key", ...ports] },
  config: { values: ["core"] },
  "durable-file": { values: [] },
  admin: handler,
  self: handler,
  derivation: { values: [...handler.values, "subscribers"] },
  subscribers: { values: ["core", "wire", "rpc"] },
  rpc: { values: ["core", "wire", "verification", ...ports] },
  http: { values: ["core", "wire", "rpc", ...ports], types: ["verification"] },
  verification: { values: ["core", "wire", ...ports], types: ["rpc"] },
  mutation: { values: ["core", "wire", ...ports], types: ["rpc"] },
  store: { values: ["core", "durable-file"] },
  keyring: { values: ["core", "store", "durable-file"] },
  changes: { values: ["core", "store"] },
  telemetry: { values: ["core"], types: ["rpc", "store"] },
  version: { values: [] },
  workers: { values: ["core", "telemetry"], types: ["changes", "limits"] },
  limits: { values: ["core"] },
  wire: { values: ["core"] },
  sidecar: { values: ["core", "wire", "rpc", "http", "subscribers", "telemetry", "verifier"] },
  verifier: { values: ["core", "wire", "durable-file"] },
  client: { values: ["core"] },
  core: { values: [] },
};

const mayImportGenerated = [
  "admin",
  "self",
  "derivation",
  "subscribers",
  "rpc",
  "wire",
  "verifier",
  "client",
  "cli",
  "sidecar",
];
/** Who puts adapters together. */
const composition = [
  "services/app.ts",
  "services/bootstrap.ts",
  "services/key-set-stream.ts",
  "services/secrets-work.ts",
  "services/root-key.ts",
  "services/store-work.ts",
  "services/periodic-work.ts",
  "services/diagnose.ts",
];
/** The one library of core: it computes, too. */
const librariesOfCore = ["jose"];
/** Of Node, only what computes: no files, sockets, clocks. (node:net for isIP.) */
const nodeModulesOfCore = ["node:buffer", "node:crypto", "node:net", "node:util", "node:zlib"];
const publishedIndexes = ["services/verifier/index.ts", "services/client/index.ts"];
const fileLinesMax = 400;

interface SourceFile {
  readonly path: string;
  readonly source: string;
  readonly imports: readonly ModuleImport[];
}

/** Each rule gives a detail per violation in a file. */
const rules = {
  "folder boundaries": ({ path, imports }: SourceFile) => {
    const own = folderOf(path);
    const boundary = boundaries[own];
    if (boundary === undefined) return [`${own} has no row in the table of boundaries`];
    return imports.filter(({ file }) => file?.startsWith("services/")).flatMap((item) => crossing(own, boundary, item));
  },
  "adapters are constructed by app.ts": ({ path, imports }: SourceFile) =>
    imports.filter((item) => reachesAdapter(path, item)).map(({ specifier }) => specifier),
  "core is pure": ({ path, imports }: SourceFile) =>
    folderOf(path) !== "core"
      ? []
      : imports
          .map(({ specifier }) => specifier)
          .filter((name) => !name.startsWith(".") && ![...nodeModulesOfCore, ...librariesOfCore].includes(name)),
  "generated API code stays at the edge": ({ path, imports }: SourceFile) =>
    mayImportGenerated.includes(folderOf(path))
      ? []
      : imports.filter(({ file }) => file?.startsWith("gen/") && !isPrisma(file)).map(({ specifier }) => specifier),
  "Prisma stays in store/prisma-*": ({ path, imports }: SourceFile) =>
    path.startsWith("services/store/prisma-")
      ? []
      : imports.map(({ file, specifier }) => file ?? specifier).filter((name) => isPrisma(name)),
  "imports name a file": ({ imports }: SourceFile) =>
    imports.filter(({ file }) => file !== undefined && !file.endsWith(".ts")).map(({ specifier }) => specifier),
  "only config/environment.ts reads the environment": ({ path, source }: SourceFile) =>
    path === "services/config/environment.ts" || path === "services/main.ts" ? [] : usesOfProcess(source, "env"),
  "only main.ts exits": ({ path, source }: SourceFile) =>
    path === "services/main.ts" ? [] : usesOfProcess(source, "exit|exitCode|abort|reallyExit"),
  "no default exports": ({ source }: SourceFile) =>
    [...codeOnly(source).matchAll(/\bexport\s+default\b|\bas\s+default\b/g)].map(([text]) => text),
  "no barrels": (file: SourceFile) => (isBarrel(file) ? ["has nothing but re-exports"] : []),
  "kebab-case file names": ({ path }: SourceFile) =>
    path.split("/").every((part) => /^[a-z0-9]+(-[a-z0-9]+)*(\.ts)?$/.test(part)) ? [] : [path],
  "short files": ({ source }: SourceFile) =>
    lineCount(source) > fileLinesMax ? [`${lineCount(source)} lines, over ${fileLinesMax}`] : [],
  "no cycles": (_file: SourceFile): string[] => [],
};

export const ruleNames = Object.keys(rules) as Rule[];

/** Everything in `tree` that breaks the rules of the code's structure. */
export function violationsOf(tree: SourceTree): Violation[] {
  const files = [...tree].map(([path, source]) => ({ path, source, imports: importsOf(path, source) }));
  const perFile = files.flatMap((file) =>
    ruleNames.flatMap((rule) => rules[rule](file).map((detail) => ({ rule, file: file.path, detail }))),
  );
  return [...perFile, ...cyclesOf(files)];
}

export function lineCount(source: string): number {
  return source.split("\n").length - (source.endsWith("\n") ? 1 : 0);
}

/** `services/core/macaroon/chain.ts` → `core`; `services/app.ts` → `app`. */
function folderOf(path: string): string {
  return (path.split("/")[1] ?? "").replace(/\.ts$/, "");
}

function crossing(
  own: string,
  { values, types = [] }: Boundary,
  { file, specifier, typeOnly }: ModuleImport,
): string[] {
  const other = folderOf(file ?? "");
  if (other === own || values.includes(other) || (typeOnly && types.includes(other))) return [];
  return [types.includes(other) ? `${specifier}: types only` : specifier];
}

/** Of a folder with a port and adapters, others see the port, its errors, and types that are no adapter's. */
function reachesAdapter(path: string, { file, typeOnly }: ModuleImport): boolean {
  const folder = folderOf(file ?? "");
  if (!file?.startsWith("services/") || !ports.includes(folder)) return false;
  if (folderOf(path) === folder || composition.includes(path)) return false;
  const name = file.slice(file.lastIndexOf("/") + 1);
  if (/^(.+-)?(port|error)\.ts$/.test(name)) return false;
  return !typeOnly || /^(prisma|sqlite|postgres|mariadb|mysql|redis|local|shared)-/.test(name);
}

function isPrisma(name: string): boolean {
  return name.startsWith("@prisma/") || name === "prisma" || /^gen\/prisma\//.test(name);
}

function usesOfProcess(source: string, members: string): string[] {
  const uses = codeOnly(source).matchAll(new RegExp(`\\bprocess\\s*\\??\\.\\s*(${members})\\b`, "g"));
  const imported = withoutComments(source).matchAll(/\bimport\b([^;"']*?)\bfrom\s*["'](?:node:)?process["']/g);
  const named = [...imported].filter(([, clause = ""]) => new RegExp(`\\b(${members})\\b`).test(clause));
  return [...uses, ...named].map(([text]) => text);
}

function isBarrel({ path, source, imports }: SourceFile): boolean {
  if (publishedIndexes.includes(path) || imports.length === 0) return false;
  const rest = withoutComments(source).replace(/\b(import|export)\b[^;]*?\bfrom\s*["'][^"']+["'];?/g, "");
  return rest.replace(/\bexport\s*(type\s*)?\{[^}]*\};?/g, "").trim() === "";
}

function cyclesOf(files: readonly SourceFile[]): Violation[] {
  const targets = new Map(files.map(({ path, imports }) => [path, imports.flatMap(({ file }) => file ?? [])]));
  const done = new Set<string>();
  const cycles: Violation[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start >= 0) cycles.push({ rule: "no cycles", file: path, detail: [...trail.slice(start), path].join(" → ") });
    if (start >= 0 || done.has(path)) return;
    for (const target of targets.get(path) ?? []) visit(target, [...trail, path]);
    done.add(path);
  };
  for (const { path } of files) visit(path, []);
  return cycles;
}
