import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";
import { issuedKeyScannerPattern } from "../../services/core/credential.ts";
import { boundaries } from "../support/architecture.ts";
import { codeSpansOf, tablesOf } from "../support/markdown.ts";

const pages = [...markdownIn("."), ...markdownIn("docs", true)];
const repositoryPath = /^(?:proto|gen|services|prisma|test|bench|scripts|docs|\.ci)\/[\w./-]*$/;

describe("the documentation", () => {
  it("is seen by this test", () => {
    expect(pages).toEqual(
      expect.arrayContaining(["README.md", "SECURITY.md", "docs/adr/0001-key-format.md", "docs/reference/api.md"]),
    );
  });

  it.each(pages)("links to what is there: %s", (page) => {
    const links = [...readFileSync(page, "utf8").matchAll(/\]\(([^)#\s]+)[^)]*\)/g)].map(([, target = ""]) => target);
    const local = links.filter((target) => !/^https?:/.test(target));
    expect(local.filter((target) => !existsSync(normalize(join(dirname(page), target))))).toEqual([]);
  });

  it.each(pages)("names files that are there: %s", (page) => {
    const named = codeSpansOf(readFileSync(page, "utf8")).filter((span) => repositoryPath.test(span));
    expect(named.filter((path) => !existsSync(path))).toEqual([]);
  });

  it("has the scanner's pattern as it is", () => {
    expect(readFileSync("README.md", "utf8")).toContain(`\n    ${issuedKeyScannerPattern}\n`);
  });
});

describe("SECURITY.md", () => {
  const [, promises = []] = tablesOf("SECURITY.md");

  it("names a test for each promise", () => {
    const [head, ...rows] = promises;
    expect(head).toEqual(["promise", "test"]);
    expect(rows.length).toBeGreaterThanOrEqual(20);
    const tests = rows.map(([promise, cell = ""]) => [promise, codeSpansOf(cell)] as const);
    expect(tests.filter(([, files]) => files.length === 0 || !files.every(isTest))).toEqual([]);
  });
});

describe("ARCHITECTURE.md", () => {
  const [folders = [], parts = []] = tablesOf("ARCHITECTURE.md");
  const firstSpan = (row: readonly string[]) => codeSpansOf(row[0] ?? "")[0] ?? "";

  it("has every folder of the repository", () => {
    const hidden = /^(\.|node_modules$|dist$|coverage$)/;
    const there = readdirSync(".", { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !hidden.test(entry.name))
      .map(({ name }) => `${name}/`);
    expect(folders.slice(1).map(firstSpan).sort()).toEqual(there.sort());
  });

  it("has every part of services/, and what it may import", () => {
    const there = readdirSync("services").sort();
    expect(parts.slice(1).map(firstSpan).sort()).toEqual(there);
    const names = there.map(nameOf);
    for (const row of parts.slice(1)) {
      const own = nameOf(firstSpan(row));
      const allowed = boundaries[own]?.values.filter((name) => names.includes(name) && name !== own);
      expect([...partsOf(row[2] ?? "", own, names)].sort(), own).toEqual(allowed?.sort());
    }
  });

  const nameOf = (part: string) => part.replace(/\.ts$/, "");

  /** `ports` stands for four; `all but …` and `nothing` for what they say. */
  function partsOf(cell: string, own: string, names: readonly string[]): readonly string[] {
    if (cell === "nothing") return [];
    const [, allBut, listed = cell] = /^(all but )?(.*)$/.exec(cell) ?? [];
    const told = listed
      .split(", ")
      .flatMap((name) => (name === "ports" ? ["store", "keyring", "changes", "limits"] : name));
    return allBut ? names.filter((name) => name !== own && !told.includes(name)) : told;
  }
});

function isTest(path: string): boolean {
  return /^test\/.+\.(test|contract)\.ts$/.test(path) && existsSync(path);
}

function markdownIn(folder: string, deep = false): string[] {
  return readdirSync(folder, { recursive: deep, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".md"))
    .map((entry) => normalize(join(entry.parentPath, entry.name)));
}
