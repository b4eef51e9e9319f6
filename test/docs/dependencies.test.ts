import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { codeSpansOf, tablesOf } from "../support/markdown.ts";

const { dependencies, devDependencies } = JSON.parse(readFileSync("package.json", "utf8"));
const [run = [], develop = []] = tablesOf("docs/dependencies.md");

it.each([
  ["run time", run, dependencies],
  ["development", develop, devDependencies],
])("docs/dependencies.md has each package for %s, with its reason", (_name, table, packages) => {
  const rows = table.slice(1).map(([name = "", why = ""]) => ({ name: codeSpansOf(name)[0], why }));
  expect(rows.map(({ name }) => name).sort()).toEqual(Object.keys(packages).sort());
  expect(rows.filter(({ why }) => why.length < 5)).toEqual([]);
});
