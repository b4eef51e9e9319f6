import { posix } from "node:path";

/** One import or re-export of a module, as written in its source. */
export interface ModuleImport {
  /** As written: `../core/ids.ts`, `node:crypto`, `pino`. */
  readonly specifier: string;
  /** The file's path from the repository's root if the specifier is relative. */
  readonly file: string | undefined;
  /** Nothing of it is left at run time. */
  readonly typeOnly: boolean;
  /** `export … from`. */
  readonly reExport: boolean;
}

const literalOrComment = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\.)*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g;
const fromClause = /\b(import|export)\b([^;"'`()=]*?)\bfrom\s*["']([^"']+)["']/g;
const bareOrDynamic = /\bimport\s*\(?\s*["'`]([^"'`]+)["'`]/g;

/** The source without comments; strings stay, as specifiers are strings. */
export function withoutComments(source: string): string {
  return source.replace(literalOrComment, (match) => (/^\/[*/]/.test(match) ? " " : match));
}

/** The source without comments and with emptied strings: what is left is code, but for the code within templates. */
export function codeOnly(source: string): string {
  return source.replace(literalOrComment, (match) => {
    if (/^\/[*/]/.test(match)) return " ";
    return match.startsWith("`") ? match : '""';
  });
}

/**
 * The imports of a module. Not a parser: TypeScript 7 has no API for one, and a formatted import is regular enough.
 * `path` is the module's path from the repository's root.
 */
export function importsOf(path: string, source: string): ModuleImport[] {
  const text = withoutComments(source);
  const named = [...text.matchAll(fromClause)].map(([, keyword = "", clause = "", specifier = ""]) => ({
    specifier,
    file: fileOf(path, specifier),
    typeOnly: isTypeOnly(clause),
    reExport: keyword === "export",
  }));
  const others = [...text.matchAll(bareOrDynamic)].map(([, specifier = ""]) => ({
    specifier,
    file: fileOf(path, specifier),
    typeOnly: false,
    reExport: false,
  }));
  return [...named, ...others];
}

/** `type { A, B }`, `type A` and `{ type A, type B }` leave nothing at run time. */
function isTypeOnly(clause: string): boolean {
  const trimmed = clause.trim();
  if (/^type\b/.test(trimmed)) return true;
  const names = /^\{([^}]*)\}$/.exec(trimmed)?.[1];
  if (names === undefined) return false;
  const list = names.split(",").filter((name) => name.trim() !== "");
  return list.length > 0 && list.every((name) => /^\s*type\b/.test(name));
}

function fileOf(path: string, specifier: string): string | undefined {
  return specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : undefined;
}
