import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { version } from "../../services/version.ts";

it("tells the version that package.json has", () => {
  expect(version).toBe(JSON.parse(readFileSync("package.json", "utf8")).version);
});
