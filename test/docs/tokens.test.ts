import { createHash, createHmac, createPublicKey, hkdfSync, verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";

// Computes the worked bytes of docs/reference/tokens.md again, from that page and node:crypto alone: what stands there
// must be enough to write a verifier.

const page = readFileSync("docs/reference/tokens.md", "utf8");

/** The values of the worked bytes by their names, in order. */
const worked = new Map<string, string[]>();
for (const [, name = "", value = ""] of page.slice(page.indexOf("## Worked bytes")).matchAll(/^ {4}(.{12}) (.*)$/gm)) {
  worked.set(name.trim(), [...(worked.get(name.trim()) ?? []), value]);
}
const all = (name: string) => worked.get(name) ?? [];
const one = (name: string): string => {
  const [value, ...others] = all(name);
  if (value === undefined || others.length > 0) throw new Error(`the page has not one ${name}`);
  return value;
};
const hexOf = (name: string) => Buffer.from(one(name), "hex");
const hmac = (key: Buffer | string, data: Buffer | string) => createHmac("sha256", key).update(data).digest();

describe("the JWT of tokens.md", () => {
  const jwk = { kty: "OKP", crv: "Ed25519", x: one("jwk.x") };

  it("is named by the thumbprint of its key", () => {
    const canonical = JSON.stringify({ crv: jwk.crv, kty: jwk.kty, x: jwk.x });
    expect(createHash("sha256").update(canonical).digest("base64url")).toBe(one("kid"));
  });

  it("has the header and the claims that are shown, and their signature", () => {
    const [header = "", claims = "", signature = ""] = one("jwt").split(".");
    expect(Buffer.from(header, "base64url").toString()).toBe(one("header"));
    expect(Buffer.from(claims, "base64url").toString()).toBe(one("claims"));
    const key = createPublicKey({ key: jwk, format: "jwk" });
    const signed = Buffer.from(`${header}.${claims}`);
    expect(verify(null, signed, key, Buffer.from(signature, "base64url"))).toBe(true);
  });

  it("has the members that the tables name, and no other", () => {
    const named = [...page.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap(([, cell = ""]) =>
      [...cell.matchAll(/`([^`]+)`/g)].map(([, name]) => name),
    );
    for (const part of ["header", "claims"]) {
      const members = Object.keys(JSON.parse(one(part))).filter((name) => name !== "plan");
      expect(members.filter((name) => !named.includes(name))).toEqual([]);
    }
  });
});

describe("the macaroon of tokens.md", () => {
  const field = (type: number, data: Buffer) => Buffer.concat([Buffer.of(type, data.length), data]);
  const text = (identifier: Buffer, caveats: readonly string[], signature: Buffer) => {
    const bytes = Buffer.concat([
      Buffer.of(2),
      field(1, Buffer.from(one("location"))),
      field(2, identifier),
      Buffer.of(0),
      ...caveats.map((caveat) => Buffer.concat([field(2, Buffer.from(caveat)), Buffer.of(0)])),
      Buffer.of(0),
      field(6, signature),
    ]);
    return `ichor_mc_${bytes.toString("base64url")}`;
  };

  it("has a key that comes from its master, by the page's alphabet and info", () => {
    const alphabet = /alphabet `([^`]+)`/.exec(page)?.[1] ?? "";
    let bits = 0n;
    for (const character of one("tenant").slice(4)) bits = bits * 32n + BigInt(alphabet.indexOf(character));
    expect(bits.toString(16).padStart(32, "0")).toBe(one("tenant UUID"));
    const audience = Buffer.from("https://api.example");
    const info = Buffer.concat([
      Buffer.from("ichor/v1/audience"),
      Buffer.from("0010", "hex"),
      hexOf("tenant UUID"),
      Buffer.of(0, audience.length),
      audience,
      Buffer.from("000400000001", "hex"),
    ]);
    expect(info.toString("hex")).toBe(one("info"));
    const key = Buffer.from(hkdfSync("sha256", hexOf("master"), "", info, 32));
    expect(key.toString("hex")).toBe(one("audience key"));
  });

  it("is signed by the chain of HMACs, and narrowed without the key", () => {
    const identifier = hexOf("identifier");
    const generated = hmac("macaroons-key-generator", hexOf("audience key"));
    const caveats = all("caveat");
    expect(caveats).toHaveLength(3);
    let signature = hmac(generated, identifier);
    for (const caveat of caveats) signature = hmac(signature, caveat);
    expect(text(identifier, caveats, signature)).toBe(one("macaroon"));
    // The page says that the last one ends in a space, since one at the end of a line wouldn't be seen.
    const more = all("more").map((caveat) => (caveat === "scope =" ? "scope = " : caveat));
    for (const caveat of more) signature = hmac(signature, caveat);
    expect(text(identifier, [...caveats, ...more], signature)).toBe(one("narrowed"));
  });
});
