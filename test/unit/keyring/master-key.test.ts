import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { KeyFileError } from "../../../services/keyring/key-file-error.ts";
import { createMasterKeyFile, loadMasterKeys } from "../../../services/keyring/master-key.ts";
import { seededRandom } from "../../fakes/random.ts";
import { temporaryFolder } from "../../support/server-process.ts";

let folder: ReturnType<typeof temporaryFolder>;
let path: string;
beforeEach(() => {
  folder = temporaryFolder("master-key");
  path = join(folder.path, "master.key");
});
afterEach(() => folder.remove());

const line = (byte: number) => Buffer.alloc(32, byte).toString("base64");

describe("loadMasterKeys", () => {
  it("takes the first line as the current key and keeps the others", () => {
    writeFileSync(path, `${line(1)}\n${line(2)}\n`, { mode: 0o600 });
    const keys = loadMasterKeys(path);
    expect(keys.current.key).toEqual(Buffer.alloc(32, 1));
    expect(keys.ids).toHaveLength(2);
    expect(keys.byId(keys.ids[1] ?? "")?.key).toEqual(Buffer.alloc(32, 2));
    expect(keys.byId("0000000000000000")).toBeUndefined();
  });

  it("names a key by 16 hex digits that don't tell it", () => {
    writeFileSync(path, `${line(1)}\n`, { mode: 0o400 });
    expect(loadMasterKeys(path).current.id).toBe("80c42bc9cbaa670b");
  });

  it.each([0o640, 0o604, 0o620, 0o666, 0o610])("refuses a file of mode %o", (mode) => {
    writeFileSync(path, `${line(1)}\n`);
    chmodSync(path, mode);
    expect(() => loadMasterKeys(path)).toThrow(/chmod 600/);
  });

  it.each([
    ["an empty file", "", /empty/],
    ["an empty line only", "\n", /line 1/],
    ["a blank line between", `${line(1)}\n\n${line(2)}\n`, /line 2/],
    ["31 bytes", `${Buffer.alloc(31).toString("base64")}\n`, /line 1/],
    ["33 bytes", `${Buffer.alloc(33).toString("base64")}\n`, /line 1/],
    ["hex", `${Buffer.alloc(32, 1).toString("hex")}\n`, /line 1/],
    ["base64url", `${Buffer.alloc(32, 0xfb).toString("base64url")}\n`, /line 1/],
    ["a carriage return", `${line(1)}\r\n`, /line 1/],
    ["white space", ` ${line(1)}\n`, /line 1/],
    ["spare bits", `${line(1).slice(0, -2)}B=\n`, /line 1/],
    ["a key twice", `${line(1)}\n${line(1)}\n`, /twice/],
  ])("refuses %s, and doesn't tell the line", (_name, text, message) => {
    writeFileSync(path, text, { mode: 0o600 });
    expect(() => loadMasterKeys(path)).toThrow(KeyFileError);
    expect(() => loadMasterKeys(path)).toThrow(message);
    expect(() => loadMasterKeys(path)).not.toThrow(line(1).slice(0, 20));
  });

  it("refuses a missing file and a folder", () => {
    expect(() => loadMasterKeys(path)).toThrow(KeyFileError);
    mkdirSync(path, { mode: 0o700 });
    expect(() => loadMasterKeys(path)).toThrow(KeyFileError);
  });
});

describe("createMasterKeyFile", () => {
  it("makes a file that only its owner may read, with one key and a newline", () => {
    expect(createMasterKeyFile(path, seededRandom())).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readFileSync(path, "utf8")).toMatch(/^[A-Za-z0-9+/]{43}=\n$/);
    expect(loadMasterKeys(path).ids).toHaveLength(1);
    expect(readdirSync(folder.path)).toEqual(["master.key"]);
  });

  it("leaves a file that is there as it is", () => {
    createMasterKeyFile(path, seededRandom("first"));
    const before = readFileSync(path);
    expect(createMasterKeyFile(path, seededRandom("second"))).toBe(false);
    expect(readFileSync(path)).toEqual(before);
    expect(readdirSync(folder.path)).toEqual(["master.key"]);
  });

  it("says where it couldn't be made", () => {
    expect(() => createMasterKeyFile(join(folder.path, "none", "master.key"), seededRandom())).toThrow(KeyFileError);
  });
});
