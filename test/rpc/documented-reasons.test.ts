import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { errorReasons } from "../../services/core/errors.ts";

const protoFolder = new URL("../../proto/ichor/v1", import.meta.url).pathname;
const testFolder = new URL(".", import.meta.url).pathname;

/** `Method REASON` for each reason that a proto comment names; a service's own reasons stand under its name. */
function reasonsInProtos(): string[] {
  return readdirSync(protoFolder).flatMap((file) => {
    const text = readFileSync(join(protoFolder, file), "utf8");
    // A comment block and the declaration that it belongs to.
    return [...text.matchAll(/((?:^ *\/\/.*\n)+) *(?:rpc|service) (\w+)/gm)].flatMap(([, comment, name]) => {
      const list = /Reasons[^:]*: ((?:[^.]|\n)*)\./.exec((comment ?? "").replaceAll(/^ *\/\/ ?/gm, ""))?.[1] ?? "";
      return list
        .split(/[,\s]+/)
        .filter(Boolean)
        .map((reason) => `${name} ${reason}`);
    });
  });
}

/** `Method REASON` for each `documented("Method", "REASON"` in the tests of this layer. */
function reasonsInTests(): string[] {
  const files = readdirSync(testFolder, { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".test.ts"),
  );
  return files.flatMap((file) => {
    const text = readFileSync(join(testFolder, file), "utf8");
    return [...text.matchAll(/documented\(\s*"(\w+)",\s*"(\w+)"/g)].map(([, method, reason]) => `${method} ${reason}`);
  });
}

describe("the reasons in the protos", () => {
  const inProtos = reasonsInProtos();

  it("are found by this test", () => {
    expect(inProtos.length).toBeGreaterThan(30);
    expect(inProtos).toContain("RotateApiKey KEY_REVOKED");
  });

  it("are all of the closed list", () => {
    expect(
      inProtos.filter((entry) => !(errorReasons as readonly string[]).includes(entry.split(" ")[1] as string)),
    ).toEqual([]);
  });

  it("each have a test that makes the method fail so", () => {
    const inTests = new Set(reasonsInTests());
    expect(inProtos.filter((entry) => !inTests.has(entry))).toEqual([]);
  });
});
