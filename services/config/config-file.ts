import { readFileSync, statSync } from "node:fs";
import type { Pair, Scalar } from "yaml";
import { exposedRights, others } from "../core/file-rights.ts";

/** Largest configuration file, in bytes. */
export const configFileBytesMax = 64 * 1024;

/** What a configuration file says, before anybody has asked whether that makes sense. */
export interface ConfigFile {
  /** As it was named. */
  readonly path: string;
  /** Values by setting; each name once. */
  readonly values: ReadonlyMap<string, unknown>;
  /** Faults of the file itself, as sentences; with such, some values may be missing. */
  readonly faults: readonly string[];
}

/**
 * Reads a YAML file (1.2, one document, a map of settings). Without aliases, merges and tags: a configuration needs none.
 * Faults are told, not thrown, so that they can be told with all others.
 */
export async function readConfigFile(path: string): Promise<ConfigFile> {
  const values = new Map<string, unknown>();
  const faults: string[] = [];
  const fault = (text: string) => void faults.push(`the configuration file ${path} ${text}`);
  const text = readBounded(path, fault);
  if (text === undefined) return { path, values, faults };
  const { isMap, isScalar, LineCounter, parseDocument, visit } = await import("yaml");
  const lines = new LineCounter();
  const document = parseDocument(text.content, { lineCounter: lines, prettyErrors: false });
  const lineOf = (offset: number) => lines.linePos(offset).line;
  for (const { message, pos } of [...document.errors, ...document.warnings]) {
    fault(`has a fault in line ${lineOf(pos[0])}: ${message}`);
  }
  if (faults.length > 0) return { path, values, faults };
  visit(document, {
    Alias: (_key, { range }) => fault(`has an alias in line ${lineOf(range?.[0] ?? 0)}; write the value itself`),
  });
  const root = document.contents;
  if (root === null || faults.length > 0) return { path, values, faults };
  if (!isMap(root)) {
    fault("must hold `setting: value` lines");
    return { path, values, faults };
  }
  for (const { key, value } of root.items as Pair<Scalar, { toJS(from: unknown): unknown } | null>[]) {
    if (isScalar(key) && typeof key.value === "string") values.set(key.value, value?.toJS(document) ?? undefined);
    else fault(`has a name that is no text in line ${lineOf(key.range?.[0] ?? 0)}`);
  }
  if (text.rights !== undefined && passwordInUrl.test(text.content)) {
    fault(`has mode ${text.rights}, and a URL with a password: chmod o-rwx`);
  }
  return { path, values, faults };
}

const passwordInUrl = /:\/\/[^\s/@]*:[^\s/@]+@/;

function readBounded(
  path: string,
  fault: (text: string) => void,
): { readonly content: string; readonly rights: string | undefined } | undefined {
  try {
    const stat = statSync(path);
    if (!stat.isFile()) fault("is no regular file");
    else if (stat.size > configFileBytesMax) fault(`has more than ${configFileBytesMax / 1024} KiB`);
    else return { content: readFileSync(path, "utf8"), rights: exposedRights(stat.mode, others) };
  } catch (error) {
    fault(`can't be read (${(error as NodeJS.ErrnoException).code})`);
  }
  return undefined;
}
