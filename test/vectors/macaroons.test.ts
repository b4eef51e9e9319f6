import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { byteStringOf, bytesOf } from "../../services/core/hmac-sha256.ts";
import {
  type ChainRoot,
  chainRootOf,
  chainSignature,
  extendChain,
  hasAuthenticSignature,
} from "../../services/core/macaroon/chain.ts";
import { readMacaroonJson } from "../../services/core/macaroon/codec-json.ts";
import { readMacaroonV1 } from "../../services/core/macaroon/codec-v1.ts";
import { readMacaroonV2, writeMacaroonV2 } from "../../services/core/macaroon/codec-v2.ts";
import type { Macaroon } from "../../services/core/macaroon/macaroon.ts";

// Foreign vectors; their origin and licences are in macaroons/README.md and macaroons/LICENSES.txt.
const folder = new URL("macaroons/", import.meta.url);
const json = (path: string) => JSON.parse(readFileSync(new URL(path, folder), "utf8"));
const lines = (path: string) => readFileSync(new URL(path, folder), "utf8").trim().split("\n");
const base64 = (text: string) => Buffer.from(text, "base64");
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const rootOf = (key: string) => chainRootOf(Buffer.from(key));

/** Any form; v1 in the files of libmacaroons is base64 of base64url. */
function readAny(bytes: Buffer): Macaroon | undefined {
  return readMacaroonV2(bytes) ?? readMacaroonV1(bytes) ?? readMacaroonV1(base64(bytes.toString()));
}

/** Readable and comparable. */
function shown({ location, identifier, caveats, signature }: Macaroon) {
  return {
    location,
    identifier: text(identifier),
    signature_hex: Buffer.from(signature).toString("hex"),
    caveats: caveats.map(({ id, verificationId, location: where }) => ({
      cid: text(id),
      ...(verificationId && { vid_b64url: Buffer.from(verificationId).toString("base64url") }),
      ...(where && { location: where }),
    })),
  };
}

function read(format: string, data: string): Macaroon | undefined {
  if (format.includes("json")) return readMacaroonJson(data);
  return readAny(base64(data));
}

describe("libmacaroons", () => {
  const files = readdirSync(new URL("libmacaroons/", folder));
  const verifications = files.filter((name) => name.endsWith(".vtest"));
  const serializations = files.filter((name) => name.startsWith("serialization_"));

  it("has all its files here", () => {
    expect([verifications.length, serializations.length]).toEqual([16, 3]);
  });

  it.each(verifications)("decides %s as the reference does", (name) => {
    const told = lines(`libmacaroons/${name}`).filter((line) => !line.startsWith("#"));
    const key = told.find((line) => line.startsWith("key "))?.slice(4) ?? "";
    const exact = told.filter((line) => line.startsWith("exact ")).map((line) => line.slice(6));
    const macaroon = readAny(base64(told.at(-1) ?? ""));
    if (!macaroon) throw new Error("unreadable");
    const authorized =
      hasAuthenticSignature(rootOf(key), macaroon) && macaroon.caveats.every(({ id }) => exact.includes(text(id)));
    expect(authorized).toBe(told.includes("authorized"));
  });

  it.each(serializations)("reads the three forms of %s alike and writes the same v2 bytes", (name) => {
    const forms = Object.fromEntries(lines(`libmacaroons/${name}`).map((line) => line.split(" ", 2)));
    const v2 = base64(forms.v2);
    const macaroon = readMacaroonV2(v2);
    if (!macaroon) throw new Error("unreadable");
    expect(shown(readAny(base64(forms.v1)) as Macaroon)).toEqual(shown(macaroon));
    expect(shown(readMacaroonJson(base64(forms.v2j).toString()) as Macaroon)).toEqual(shown(macaroon));
    expect(writeMacaroonV2(macaroon).equals(v2)).toBe(true);
  });
});

describe("go-macaroon", () => {
  const same = json("go-macaroon/same-macaroon.json");
  const rules = json("go-macaroon/decode-rules.json");
  const verify = json("go-macaroon/verify.json");

  it.each(same.encodings as { about: string; format: string; data: string }[])("reads $about", ({ format, data }) => {
    const macaroon = read(format, data) as Macaroon;
    expect(shown(macaroon)).toEqual(same.expect);
    expect(hasAuthenticSignature(rootOf(same.key), macaroon)).toBe(true);
    expect(shown(readMacaroonV2(writeMacaroonV2(macaroon)) as Macaroon)).toEqual(same.expect);
  });

  it.each(rules.json_must_fail as { about: string; json: string }[])("refuses $about", ({ json: data }) => {
    expect(readMacaroonJson(data)).toBeUndefined();
  });

  it.each(rules.base64 as { about: string; input: string; expect?: string }[])(
    "takes base64 with the same tolerance: $about",
    ({ input, expect: expected }) => {
      const signature = "A".repeat(43);
      const macaroon = readMacaroonJson(JSON.stringify({ v: 2, i64: input, s64: signature }));
      expect(macaroon && text(macaroon.identifier)).toBe(expected);
    },
  );

  it.each(rules.json_identifier_choice as { id_hex?: string; id_utf8?: string; base64: boolean }[])(
    "reads an identifier as either text or base64: $id_hex$id_utf8",
    ({ id_hex, id_utf8, base64: encoded }) => {
      const id = id_hex === undefined ? Buffer.from(id_utf8 ?? "") : Buffer.from(id_hex, "hex");
      const field = encoded ? { i64: id.toString("base64") } : { i: id.toString() };
      const macaroon = readMacaroonJson(JSON.stringify({ v: 2, ...field, s64: "A".repeat(43) }));
      expect(macaroon && Buffer.from(macaroon.identifier).equals(id)).toBe(true);
    },
  );

  interface Recipe {
    readonly root_key: string;
    readonly id: string;
    readonly location: string;
    readonly caveats: readonly { condition?: string; third_party?: boolean; id?: string; location?: string }[];
  }
  it.each(verify.tests as { about: string; macaroons: readonly [Recipe]; checks: readonly { ok?: boolean }[] }[])(
    "never clears a macaroon that needs a discharge: $about",
    ({ macaroons: [root] }) => {
      const caveats = root.caveats.map(({ condition, id, location }) =>
        condition === undefined
          ? { id: Buffer.from(id ?? ""), verificationId: Buffer.alloc(72), location: location ?? "" }
          : { id: Buffer.from(condition) },
      );
      const identifier = Buffer.from(root.id);
      const signature = bytesOf(chainSignature(rootOf(root.root_key), { identifier, caveats }));
      const macaroon = readMacaroonV2(writeMacaroonV2({ location: root.location, identifier, caveats, signature }));
      if (!macaroon) throw new Error("unreadable");
      expect(hasAuthenticSignature(rootOf(root.root_key), macaroon)).toBe(true);
      expect(macaroon.caveats.some(({ verificationId }) => verificationId)).toBe(
        root.caveats.some((c) => c.third_party),
      );
    },
  );
});

describe("js-macaroon", () => {
  const { v1_json, version_field } = json("js-macaroon/v1-json-and-versions.json");

  it("reads v1 JSON", () => {
    const [expected] = v1_json;
    const macaroon = readMacaroonJson(JSON.stringify(expected)) as Macaroon;
    const { location, identifier, signature_hex, caveats } = shown(macaroon);
    expect({ location, identifier, signature: signature_hex }).toMatchObject({
      location: expected.location,
      identifier: expected.identifier,
      signature: expected.signature,
    });
    expect(caveats).toEqual([
      { cid: "a caveat" },
      { cid: "3rd question", vid_b64url: expected.caveats[1].vid, location: "3rd loc" },
    ]);
  });

  it.each(version_field.cases as { about: string; v: unknown; ok: boolean }[])(
    "takes no other v: $about",
    ({ v, ok }) => {
      expect(readMacaroonJson(JSON.stringify({ ...version_field.base, v })) !== undefined).toBe(ok);
    },
  );
});

describe("pymacaroons", () => {
  const made = json("pymacaroons/go-generated.json");
  const signatures = json("pymacaroons/signatures.json");

  it.each(["json_v1", "binary_v1", "json_v2", "binary_v2"])("reads %s, root and discharge", (name) => {
    const root = read(name, made.tokens[name]) as Macaroon;
    expect(shown(root)).toEqual(shown(read("binary", made.tokens.binary_v2) as Macaroon));
    expect(hasAuthenticSignature(rootOf(made.key), root)).toBe(true);
    const discharge = read(name, made.tokens[`${name}_discharge`]) as Macaroon;
    expect(shown(discharge)).toEqual(shown(read("binary", made.tokens.binary_v2_discharge) as Macaroon));
  });

  interface SignatureCase {
    readonly location: string;
    readonly identifier: string;
    readonly key: string;
    readonly caveats: readonly string[];
    readonly signature_hex: string;
    readonly v1_binary_b64url?: string;
  }
  it.each(signatures.cases as SignatureCase[])("signs $caveats to the same bytes", (given) => {
    const macaroon = {
      identifier: Buffer.from(given.identifier),
      caveats: given.caveats.map((c) => ({ id: Buffer.from(c) })),
    };
    const signature = bytesOf(chainSignature(rootOf(given.key), macaroon));
    expect(signature.toString("hex")).toBe(given.signature_hex);
    if (given.v1_binary_b64url === undefined) return;
    expect(readMacaroonV1(base64(given.v1_binary_b64url))).toEqual({
      ...macaroon,
      location: given.location,
      signature,
    });
  });

  it("binds a discharge to the same signature", () => {
    const { root, discharge, bound_signature_hex } = signatures.bind;
    const third = json("go-macaroon/same-macaroon.json").expect.caveats[1];
    const rootSignature = chainSignature(rootOf(root.key), {
      identifier: Buffer.from(root.identifier),
      caveats: [
        ...root.caveats.map((caveat: string) => ({ id: Buffer.from(caveat) })),
        { id: Buffer.from(third.cid), verificationId: Buffer.from(third.vid_b64url, "base64url") },
      ],
    });
    const dischargeSignature = chainSignature(rootOf(discharge.key), {
      identifier: Buffer.from(discharge.identifier),
      caveats: discharge.caveats.map((caveat: string) => ({ id: Buffer.from(caveat) })),
    });
    const zeros = byteStringOf(new Uint8Array(32)) as ChainRoot;
    const bound = extendChain(zeros, { id: bytesOf(dischargeSignature), verificationId: bytesOf(rootSignature) });
    expect(bytesOf(bound).toString("hex")).toBe(bound_signature_hex);
  });
});
