import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { CompactSign, compactVerify, importJWK } from "jose";
import { describe, expect, it } from "vitest";
import { type Checkpoint, readCheckpoint, signCheckpoint } from "../../services/core/audit/checkpoint.ts";

const vectors = JSON.parse(readFileSync(new URL("checkpoints.json", import.meta.url), "utf8"));
const { privateJwk, kid } = vectors;
const { d: _, ...publicJwk } = privateJwk;
const signer = { kid, publicJwk, privateKey: createPrivateKey({ key: privateJwk, format: "jwk" }) };

const checkpointOf = (said: Record<string, string>): Checkpoint => ({
  number: BigInt(said.number ?? ""),
  storeEpoch: said.storeEpoch ?? "",
  revision: BigInt(said.revision ?? ""),
  hash: Buffer.from(said.hash ?? "", "hex"),
  timeMs: Date.parse(said.time ?? ""),
  ...(said.successor !== undefined && { successor: said.successor }),
});

describe("checkpoints", () => {
  it.each<{ said: Record<string, string>; statement: string }>(vectors.statements)(
    "are signed and read as ever: $said",
    async ({ said, statement }) => {
      const checkpoint = checkpointOf(said);
      expect(await signCheckpoint(checkpoint, signer)).toBe(statement);
      expect(await readCheckpoint(statement)).toEqual({ ...checkpoint, kid, statement });
    },
  );

  it("are what a JOSE library checks with the public key alone", async () => {
    const key = await importJWK(publicJwk, "EdDSA");
    for (const { statement } of vectors.statements) {
      const { protectedHeader } = await compactVerify(statement, key);
      expect(protectedHeader).toMatchObject({ alg: "EdDSA", typ: "ichor-checkpoint", kid });
    }
  });

  it("aren't read with any character changed", async () => {
    const { statement } = vectors.statements[0];
    for (let i = 0; i < statement.length; i += 7) {
      const other = statement[i] === "A" ? "B" : "A";
      const read = await readCheckpoint(statement.slice(0, i) + other + statement.slice(i + 1));
      expect(read, `character ${i}`).toBeUndefined();
    }
  });

  it.each([
    ["of another type", { typ: "at+jwt" }, {}],
    ["under the name of another key", { kid: "x".repeat(43) }, {}],
    ["without a key", { jwk: undefined }, {}],
    ["that say no number", {}, { number: 7 }],
    ["with a hash of another length", {}, { hash: "00" }],
    ["with a time that is none", {}, { time: "soon" }],
  ])("aren't read if they are statements %s", async (_name, header, payload) => {
    const { said } = vectors.statements[0];
    const body = {
      number: said.number,
      store_epoch: said.storeEpoch,
      revision: said.revision,
      hash: said.hash,
      time: said.time,
    };
    const { kty, crv, x } = publicJwk;
    const signed = (headers: object, fields: object) =>
      new CompactSign(Buffer.from(JSON.stringify({ ...body, ...fields })))
        .setProtectedHeader({ alg: "EdDSA", typ: "ichor-checkpoint", kid, jwk: { kty, crv, x }, ...headers })
        .sign(signer.privateKey);
    expect(await readCheckpoint(await signed({}, {}))).toBeDefined();
    expect(await readCheckpoint(await signed(header, payload))).toBeUndefined();
  });
});
