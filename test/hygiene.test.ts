import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { testLayers } from "./support/layers.ts";

const files = repositoryFiles();

/** What must not be found; each with a line that it finds (in pieces, so that this file passes) and one that it leaves. */
const patterns = {
  switchedOffTest: {
    pattern: /\b(describe|it|test|suite|bench)\s*(\.\w+)*\.(only|skip|todo|fails|skipIf|runIf)\b/,
    finds: ["it.only(", "describe.concurrent.skip(", "test.todo("],
    leaves: ["commit.skip(", "it.each(cases)("],
  },
  sleep: {
    pattern: /\bawait (setTimeout|sleep|delay|pause)\(/,
    finds: ["await setTimeout(100);"],
    leaves: ["await clock.advance(100);"],
  },
  unfinished: {
    pattern: /\b(TOD[O]|FIXM[E]|XX[X])\b(?!\(#\d+\))/,
    finds: [`// ${"TO"}DO: later`, `// ${"FIX"}ME`],
    leaves: [`// ${"TO"}DO(#12): later`],
  },
  machinePath: {
    pattern: /(?<![\w.$}*~-])\/(work|root|home|Users)\//,
    finds: [`cd /${"work"}/main`, `"/${"home"}/me/x"`, `(/${"root"}/.cache)`],
    leaves: ["https://example.com/home/page", "./work/list", "/var/lib/ichor/root.key"],
  },
  privateKey: {
    pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----/,
    finds: [`-----BEGIN ${"PRIVATE"} KEY-----`, `-----BEGIN EC ${"PRIVATE"} KEY-----`],
    leaves: ["-----BEGIN PUBLIC KEY-----"],
  },
} as const;

describe("repository", () => {
  it("sees its files", () => {
    expect(files.length).toBeGreaterThanOrEqual(100);
    expect(files).toEqual(expect.arrayContaining(["package.json", "test/hygiene.test.ts", "services/main.ts"]));
  });

  it("has every test file where a project of the runner finds it", () => {
    const places = testLayers.map(({ name }) => `test/${name}/`);
    const lost = files
      .filter((path) => /\.(test|spec)\.[cm]?[jt]sx?$/.test(path))
      .filter((path) => !/^test\/[^/]+\.test\.ts$/.test(path))
      .filter((path) => !(path.endsWith(".test.ts") && places.some((place) => path.startsWith(place))));
    expect(lost).toEqual([]);
  });

  it("switches no test off and singles none out", () => {
    expect(linesOf(files.filter(isTest), patterns.switchedOffTest.pattern)).toEqual([]);
  });

  it("never sleeps for a fixed time in a test of the quick layers", () => {
    const quick = files.filter((path) => /^test\/(unit|property|vectors|rpc)\//.test(path));
    expect(linesOf(quick, patterns.sleep.pattern)).toEqual([]);
  });

  it("leaves nothing unfinished without an issue number", () => {
    expect(linesOf(ownFiles(), patterns.unfinished.pattern)).toEqual([]);
  });

  it("names no folder of a machine", () => {
    expect(linesOf(files, patterns.machinePath.pattern)).toEqual([]);
  });

  it("holds no private key", () => {
    expect(linesOf(files, patterns.privateKey.pattern)).toEqual([]);
  });

  it("locks packages by version and digest, not by the registry that they were fetched from", () => {
    const entries = Object.entries(lockedPackages()).filter(([path]) => path !== "");
    expect(entries.length).toBeGreaterThanOrEqual(100);
    expect(entries.filter(([, { resolved }]) => resolved !== undefined)).toEqual([]);
    // Binaries for other platforms are only known by version where the lock file was written on one platform.
    expect(entries.filter(([, { integrity, os }]) => !integrity && os === undefined)).toEqual([]);
  });

  it("locks the packages of every platform, without which a clean install fails", () => {
    const packages = lockedPackages();
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies)
        .map((name) => `node_modules/${name}`)
        .filter((name) => packages[name] === undefined && packages[`${path}/${name}`] === undefined),
    );
    expect(missing).toEqual([]);
  });

  it("pins every direct dependency", () => {
    const { dependencies, devDependencies } = JSON.parse(readFileSync("package.json", "utf8"));
    const versions = Object.entries({ ...dependencies, ...devDependencies });
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(String(version)))).toEqual([]);
  });
});

describe("patterns of the repository's hygiene", () => {
  it.each(Object.entries(patterns))("find and leave what they should: %s", (_name, { pattern, finds, leaves }) => {
    expect(finds.filter((line) => !pattern.test(line))).toEqual([]);
    expect(leaves.filter((line) => pattern.test(line))).toEqual([]);
  });
});

interface LockedPackage {
  readonly version?: string;
  readonly integrity?: string;
  readonly resolved?: string;
  readonly os?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

function lockedPackages(): Record<string, LockedPackage> {
  return JSON.parse(readFileSync("package-lock.json", "utf8")).packages;
}

/** Files that are tracked, or would be: ignored ones apart. */
function repositoryFiles(): string[] {
  const listed = execFileSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], {
    encoding: "utf8",
    maxBuffer: 16 * 1024 * 1024,
  });
  return listed.split("\0").filter((path) => existsSync(path) && statSync(path).isFile());
}

/** Neither generated nor taken over. */
function ownFiles(): string[] {
  return files.filter((path) => !/^(gen\/|package-lock\.json$|LICENSE$)/.test(path));
}

function isTest(path: string): boolean {
  return path.startsWith("test/") && path.endsWith(".ts") && path !== "test/hygiene.test.ts";
}

/** `path:line: text` of each line of the text files that matches. */
function linesOf(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) => {
    const content = readFileSync(path);
    if (content.includes(0)) return [];
    const lines = content.toString("utf8").split("\n");
    return lines.flatMap((line, index) =>
      pattern.test(line) ? [`${path}:${index + 1}: ${line.trim().slice(0, 160)}`] : [],
    );
  });
}
