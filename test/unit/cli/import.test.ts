import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { toJson } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import {
  AdminService,
  type BatchImportApiKeysRequest,
  ImportApiKeyRequestSchema,
} from "../../../gen/ichor/v1/admin_service_pb.ts";
import { csvItems, jsonLineItems } from "../../../services/cli/import-items.ts";
import { type ImportOptions, importKeys } from "../../../services/cli/import-keys.ts";
import { csvValues, readRecords } from "../../../services/cli/import-records.ts";
import { temporaryFolder } from "../../support/server-process.ts";

let folder: ReturnType<typeof temporaryFolder>;
let file: string;
beforeEach(() => {
  folder = temporaryFolder("import");
  file = join(folder.path, "keys.csv");
});
afterEach(() => folder.remove());

async function recordsOf(text: string, quoted = true, from = { offset: 0, line: 1 }) {
  writeFileSync(file, text);
  const records: { line: number; text: string; endOffset: number }[] = [];
  for await (const { line, text: record, endOffset } of readRecords(file, from, quoted)) {
    records.push({ line, text: record, endOffset });
  }
  return records;
}

describe("the records of a file", () => {
  it("are lines, with their number and where the next one begins; empty ones are passed over", async () => {
    expect(await recordsOf("a\n\r\nü\r\nc")).toEqual([
      { line: 1, text: "a", endOffset: 2 },
      { line: 3, text: "ü", endOffset: 8 },
      { line: 4, text: "c", endOffset: 9 },
    ]);
    expect(await recordsOf("")).toEqual([]);
  });

  it("hold newlines between quotes in CSV only", async () => {
    expect(await recordsOf('a,"b\nc"\nd')).toEqual([
      { line: 1, text: 'a,"b\nc"', endOffset: 8 },
      { line: 3, text: "d", endOffset: 9 },
    ]);
    expect(await recordsOf('"b\nc"', false)).toHaveLength(2);
  });

  it("go on from any place that was told", async () => {
    const text = `${Array.from({ length: 5_000 }, (_, i) => `line ${i},"x\ny"`).join("\n")}\n`;
    const all = await recordsOf(text);
    const { endOffset, line } = all[3_000] ?? { endOffset: 0, line: 0 };
    const rest = await recordsOf(text, true, { offset: endOffset, line: line + 2 });
    expect(rest).toEqual(all.slice(3_001));
  });

  it("that are too long are refused before they fill the memory", async () => {
    await expect(recordsOf(`"${"x".repeat(2 * 1024 * 1024)}`)).rejects.toThrow("line 1");
  });
});

describe("CSV values", () => {
  it.each([
    ["a,b", ["a", "b"]],
    ["", [""]],
    ["a,", ["a", ""]],
    ['"a,b","say ""x"""', ["a,b", 'say "x"']],
    ['a"b', undefined],
    ['"a"b', undefined],
    ['"a', undefined],
  ])("of %j are %j", (text, values) => {
    expect(csvValues(text)).toEqual(values);
  });
});

describe("an item", () => {
  const json = (itemOf: (text: string) => ReturnType<ReturnType<typeof csvItems>>, text: string) =>
    toJson(ImportApiKeyRequestSchema, itemOf(text));
  const hex = "ab".repeat(32);
  const base64 = Buffer.from(hex, "hex").toString("base64");

  it("is made of CSV columns", () => {
    const header = "sha256,name,owner_id,scopes,allowed_cidrs,labels.env,ttl,never_expires";
    expect(json(csvItems(header, {}), `${hex},n,o,a:b  c,10.0.0.0/8,prod,60s,`)).toEqual({
      sha256: base64,
      name: "n",
      ownerId: "o",
      scopes: ["a:b", "c"],
      allowedCidrs: ["10.0.0.0/8"],
      labels: { env: "prod" },
      ttl: "60s",
    });
    expect(json(csvItems("raw,never_expires", { name: "default" }), "x,true")).toEqual({
      raw: "x",
      name: "default",
      neverExpires: true,
    });
  });

  it("is made of JSON lines, as protobuf JSON with hex for hashes", () => {
    expect(json(jsonLineItems({ name: "default" }), `{"sha256":"${hex}","owner_id":"o"}`)).toEqual({
      sha256: base64,
      name: "default",
      ownerId: "o",
    });
  });

  it.each([
    ["raw,secret", "x,y"],
    ["raw,raw", "x,y"],
    ["", "x"],
  ])("refuses the header %j", (header) => {
    expect(() => csvItems(header, {})).toThrow("the first line must name the columns");
  });

  it("that can't be read is refused without a word of it", () => {
    const secret = "very-secret-credential";
    for (const [itemOf, text] of [
      [csvItems("raw,name", {}), `${secret}`],
      [csvItems("raw,ttl", {}), `${secret},soon`],
      [csvItems("raw", {}), `"${secret}`],
      [jsonLineItems({}), `{"raw":"${secret}"`],
      [jsonLineItems({}), `{"raw":"${secret}","unknown":1}`],
      [jsonLineItems({}), `["${secret}"]`],
    ] as const) {
      let thrown: unknown;
      try {
        itemOf(text);
      } catch (error) {
        thrown = error;
      }
      expect(thrown).toBeInstanceOf(RangeError);
      expect(String(thrown)).not.toContain(secret);
    }
  });
});

describe("an import", () => {
  const requests: BatchImportApiKeysRequest[] = [];
  const known = new Set<string>();
  const failures: ConnectError[] = [];
  let stop: AbortController;
  beforeEach(() => {
    requests.length = 0;
    known.clear();
    failures.length = 0;
    stop = new AbortController();
  });

  const client = createClient(
    AdminService,
    createRouterTransport(({ rpc }) => {
      rpc(AdminService.method.batchImportApiKeys, (request) => {
        const failure = failures.shift();
        if (failure !== undefined) throw failure;
        requests.push(request);
        return {
          results: request.items.map(({ name, secret }, index) => {
            const raw = String(secret.value);
            const reason = name === "bad" ? "INVALID_FIELD" : known.has(raw) ? "KEY_ALREADY_EXISTS" : undefined;
            known.add(raw);
            return reason === undefined
              ? { index, outcome: { case: "apiKey" as const, value: { id: "key" } } }
              : { index, outcome: { case: "error" as const, value: { reason, message: "no" } } };
          }),
        };
      });
    }),
  );
  const run = (options: Partial<ImportOptions> = {}) =>
    importKeys(
      client,
      {
        env: {},
        stdout: new PassThrough(),
        stderr: new PassThrough(),
        stdin: new PassThrough(),
        stop: stop.signal,
        onReload() {},
      },
      { file, format: undefined, name: undefined, allowRevoked: false, restart: false, parallel: 2, ...options },
    );
  const write = (from: number, to: number) => {
    for (let i = from; i < to; i++) appendFileSync(file, `raw-${i},key ${i}\n`);
  };

  it("sends batches of 1000, and forgets where it was when it is done", async () => {
    writeFileSync(file, "raw,name\n");
    write(0, 2_500);
    expect(await run()).toMatchObject({ imported: 2_500, present: 0, refused: 0 });
    expect(requests.map(({ items }) => items.length)).toEqual([1000, 1000, 500]);
    expect(existsSync(`${file}.import-state.json`)).toBe(false);
    expect(existsSync(`${file}.refused.jsonl`)).toBe(false);
  });

  it("goes on after the last batch that was answered for, when a call fails for good", async () => {
    writeFileSync(file, "raw,name\n");
    write(0, 3_000);
    appendFileSync(file, "x,bad\n");
    failures.push(...Array.from({ length: 1 }, () => new ConnectError("no", Code.PermissionDenied)));
    await expect(run({ parallel: 1 })).rejects.toThrow("no");
    expect(requests).toHaveLength(0);
    requests.length = 0;
    const stopAfter = 2;
    const stopping = run({ parallel: 1 });
    const watch = setInterval(() => requests.length >= stopAfter && stop.abort(), 0);
    await expect(stopping).rejects.toThrow("the same command goes on from there");
    clearInterval(watch);
    const sent = requests.length * 1000;
    stop = new AbortController();
    requests.length = 0;
    expect(await run()).toMatchObject({ imported: 3_000, present: 0, refused: 1 });
    expect(requests.flatMap(({ items }) => items)).toHaveLength(3_001 - sent);
  });

  it("counts what a killed run had sent as present, and tells each refused line once", async () => {
    writeFileSync(file, "raw,name\nraw-0,key 0\nonly-one-value\nraw-1,bad\nraw-2,key 2\n");
    known.add("raw-0");
    // As a run leaves it that was killed after its report and before its state.
    writeFileSync(`${file}.refused.jsonl`, '{"line":3}\n');
    const summary = await run();
    expect(summary).toMatchObject({ imported: 1, present: 1, refused: 2, report: `${file}.refused.jsonl` });
    const report = readFileSync(`${file}.refused.jsonl`, "utf8").trim().split("\n");
    expect(report.map((line) => JSON.parse(line))).toEqual([
      { line: 3, reason: "INVALID_LINE", message: "the line has 1 values for 2 columns" },
      { line: 4, reason: "INVALID_FIELD", message: "no" },
    ]);
  });

  it("refuses to go on with another content of the file", async () => {
    writeFileSync(file, "raw,name\n");
    write(0, 1_000);
    failures.push(new ConnectError("no", Code.PermissionDenied));
    await expect(run()).rejects.toThrow("no");
    write(1_000, 1_001);
    await expect(run()).rejects.toThrow("--restart");
    expect(await run({ restart: true })).toMatchObject({ imported: 1_001 });
  });

  it("says in a sentence that there is no such file", async () => {
    await expect(run({ file: join(folder.path, "none") })).rejects.toThrow("can't be read (ENOENT)");
  });
});
