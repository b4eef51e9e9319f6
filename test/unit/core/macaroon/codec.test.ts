import { describe, expect, it } from "vitest";
import { readMacaroonJson } from "../../../../services/core/macaroon/codec-json.ts";
import { readMacaroonV1 } from "../../../../services/core/macaroon/codec-v1.ts";
import { readMacaroonV2, writeMacaroonV2 } from "../../../../services/core/macaroon/codec-v2.ts";
import type { Macaroon } from "../../../../services/core/macaroon/macaroon.ts";
import { formatMacaroonText, readMacaroonText } from "../../../../services/core/macaroon/text.ts";
import { someMacaroon } from "./some-macaroon.ts";

const signature = Buffer.alloc(32, 0xab);
const base: Macaroon = { location: "here", identifier: Buffer.from("id"), caveats: [], signature };
const withCaveats = (count: number): Macaroon => ({
  ...base,
  caveats: Array.from({ length: count }, (_, i) => ({ id: Buffer.from(`c${i}`) })),
});
const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
const sig = `0620 ${"ab".repeat(32)}`;

describe("macaroon v2 binary", () => {
  it("is written and read as libmacaroons has it", () => {
    const bytes = writeMacaroonV2({ ...base, caveats: [{ id: Buffer.from("c") }] });
    expect(bytes).toEqual(hex(`02 0104 68657265 0202 6964 00 0201 63 00 00 ${sig}`));
    expect(readMacaroonV2(bytes)).toEqual({ ...base, caveats: [{ id: Buffer.from("c") }] });
  });

  it("keeps an absent location, a third-party caveat and lengths over 127", () => {
    const third = { id: Buffer.alloc(130, 1), verificationId: Buffer.alloc(72, 2), location: "there" };
    const macaroon = { ...base, location: "", caveats: [third, { id: Buffer.alloc(1024, 3) }] };
    expect(readMacaroonV2(writeMacaroonV2(macaroon))).toEqual(macaroon);
  });

  it.each([
    ["nothing", ""],
    ["version 1", `01 0202 6964 00 00 ${sig}`],
    ["no identifier", `02 0104 68657265 00 00 ${sig}`],
    ["no end of the header", `02 0202 6964 ${sig}`],
    ["identifier before location", `02 0202 6964 0104 68657265 00 00 ${sig}`],
    ["location twice", `02 0101 61 0101 61 0202 6964 00 00 ${sig}`],
    ["an empty location", `02 0100 0202 6964 00 00 ${sig}`],
    ["a location that is not UTF-8", `02 0101 ff 0202 6964 00 00 ${sig}`],
    ["an unknown field", `02 0301 61 0202 6964 00 00 ${sig}`],
    ["a length that is not minimal", `02 0282 00 6964 00 00 ${sig}`],
    ["a length of three bytes", `02 0282 8000 6964 00 00 ${sig}`],
    ["a length beyond the end", `02 027f 6964 00 00 ${sig}`],
    ["a length cut off", "02 0280"],
    ["a caveat without id", `02 0202 6964 00 00 00 ${sig}`],
    ["a verification id before the id", `02 0202 6964 00 0401 61 0201 61 00 00 ${sig}`],
    ["an empty verification id", `02 0202 6964 00 0201 61 0400 00 00 ${sig}`],
    ["a location on a first-party caveat", `02 0202 6964 00 0101 61 0201 61 00 00 ${sig}`],
    ["no end of the caveats", `02 0202 6964 00 0201 61 00 ${sig}`],
    ["no signature", "02 0202 6964 00 00"],
    ["a signature of 31 bytes", `02 0202 6964 00 00 061f ${"ab".repeat(31)}`],
    ["a signature of 33 bytes", `02 0202 6964 00 00 0621 ${"ab".repeat(33)}`],
    ["a byte after the signature", `02 0202 6964 00 00 ${sig} 00`],
  ])("refuses %s", (_what, bytes) => {
    expect(readMacaroonV2(hex(bytes))).toBeUndefined();
  });

  it("takes 64 caveats and refuses 65", () => {
    expect(readMacaroonV2(writeMacaroonV2(withCaveats(64)))?.caveats).toHaveLength(64);
    const sixtyFive = Buffer.concat([
      hex("02 0202 6964 00"),
      ...Array.from({ length: 65 }, () => hex("0201 61 00")),
      hex(`00 ${sig}`),
    ]);
    expect(readMacaroonV2(sixtyFive)).toBeUndefined();
    expect(() => writeMacaroonV2(withCaveats(65))).toThrow(TypeError);
  });

  it("takes 8 KiB and refuses more", () => {
    const largest = { ...base, location: "", identifier: Buffer.alloc(8192 - 40) };
    expect(readMacaroonV2(writeMacaroonV2(largest))).toBeDefined();
    expect(() => writeMacaroonV2({ ...largest, identifier: Buffer.alloc(8192 - 39) })).toThrow(TypeError);
  });
});

describe("macaroon text", () => {
  const text = someMacaroon();

  it("is the prefix and base64url", () => {
    expect(text).toMatch(/^ichor_mc_AgE[A-Za-z0-9_-]+$/);
    expect(readMacaroonText(text)?.prefix).toBe("ichor_mc");
  });

  it("finds where a prefix with underscores ends", () => {
    const { bytes } = readMacaroonText(text) as { bytes: Buffer };
    expect(readMacaroonText(formatMacaroonText("a_b_c", bytes))?.prefix).toBe("a_b_c");
    expect(() => formatMacaroonText("a_", bytes)).toThrow(TypeError);
    expect(() => formatMacaroonText("A", bytes)).toThrow(TypeError);
  });

  it.each([
    ["padding", (t: string) => `${t}=`],
    ["a space", (t: string) => `${t} `],
    ["a line end", (t: string) => `${t}\n`],
    ["the other alphabet", (t: string) => t.replace(/[-_](?=[^_]*$)/, "+")],
    ["a byte order mark", (t: string) => `\ufeff${t}`],
    ["junk that decoders skip", (t: string) => `${t.slice(0, 40)}!${t.slice(40)}`],
    ["no prefix", (t: string) => t.slice("ichor_mc_".length)],
    ["upper case in the prefix", (t: string) => t.replace("ichor", "Ichor")],
  ])("refuses %s", (_what, change) => {
    expect(readMacaroonText(change(text))).toBeUndefined();
  });

  it("has one text for the same bytes, whatever the last character's spare bits", () => {
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const read = [...alphabet].map((last) => readMacaroonText(text.slice(0, -1) + last)?.bytes.toString("hex"));
    const readable = read.filter((bytes) => bytes !== undefined);
    expect(readable.length).toBeGreaterThan(0);
    expect(new Set(readable).size).toBe(readable.length);
  });

  it("refuses more than 8 KiB before anything is decoded", () => {
    expect(readMacaroonText(`ichor_mc_A${"A".repeat(8183)}`)).toBeUndefined();
  });
});

describe("macaroon v1 binary and JSON", () => {
  const packet = (body: string) => `${(body.length + 5).toString(16).padStart(4, "0")}${body}\n`;
  const v1 = (...bodies: string[]) => Buffer.from(bodies.map(packet).join(""), "latin1");
  const signed = `signature ${"s".repeat(32)}`;

  it("reads v1", () => {
    const macaroon = readMacaroonV1(
      v1("location here", "identifier id", "cid a b", "cid t", "vid v", "cl there", signed),
    );
    expect(macaroon).toEqual({
      location: "here",
      identifier: Buffer.from("id"),
      caveats: [
        { id: Buffer.from("a b") },
        { id: Buffer.from("t"), verificationId: Buffer.from("v"), location: "there" },
      ],
      signature: Buffer.alloc(32, "s"),
    });
  });

  it.each([
    ["other order", v1("identifier id", "location here", signed)],
    ["no signature", v1("location here", "identifier id")],
    ["a short signature", v1("location here", "identifier id", "signature s")],
    ["vid without cid", v1("location here", "identifier id", "vid v", signed)],
    ["vid without cl", v1("location here", "identifier id", "cid t", "vid v", signed)],
    ["bytes after the end", Buffer.concat([v1("location here", "identifier id", signed), Buffer.from("0")])],
    ["an upper-case length", Buffer.from("000Flocation x\n")],
    ["a packet without space", v1("location", "identifier id", signed)],
    ["a length of zero", Buffer.from("0000location here\n")],
    ["65 caveats", v1("location here", "identifier id", ...Array.from({ length: 65 }, () => "cid a"), signed)],
  ])("refuses v1 with %s", (_what, bytes) => {
    expect(readMacaroonV1(bytes)).toBeUndefined();
  });

  const s64 = signature.toString("base64url");
  it.each([
    ["no JSON", "{"],
    ["an array", "[]"],
    ["no signature", `{"v":2,"i":"id"}`],
    ["half a surrogate pair", `{"v":2,"i":"\\ud800","s64":"${s64}"}`],
    ["a location on a first-party caveat", `{"v":2,"i":"id","c":[{"i":"a","l":"x"}],"s64":"${s64}"}`],
    ["an empty verification id", `{"v":2,"i":"id","c":[{"i":"a","v":""}],"s64":"${s64}"}`],
    ["caveats that are no list", `{"v":2,"i":"id","c":{},"s64":"${s64}"}`],
    ["65 caveats", JSON.stringify({ v: 2, i: "id", c: Array.from({ length: 65 }, () => ({ i: "a" })), s64 })],
  ])("refuses JSON with %s", (_what, text) => {
    expect(readMacaroonJson(text)).toBeUndefined();
  });
});
