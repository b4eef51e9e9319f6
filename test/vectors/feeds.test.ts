import { execFileSync } from "node:child_process";
import { verify } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { KeySetItemsSchema } from "../../gen/ichor/v1/key_set_pb.ts";
import { ContentHash, contentHashOf } from "../../services/core/key-set/content-hash.ts";
import { feedKeyId, importFeedKey, isHandedOver } from "../../services/core/key-set/feed-key.ts";
import { type FeedStatement, feedStatementBytes } from "../../services/core/key-set/feed-statement.ts";
import { emptyDelta, type KeySetDelta, splitDelta } from "../../services/core/key-set/key-set-delta.ts";
import { keySetItemsFromProto, keySetItemsToProto } from "../../services/wire/key-set.ts";
import { requirement } from "../support/requirements.ts";

const at = (name: string) => new URL(name, import.meta.url);
const vectors = JSON.parse(readFileSync(at("feeds.json"), "utf8"));
const hex = (text = "") => Buffer.from(text, "hex");
const key = importFeedKey(hex(vectors.feedKey.publicKey));

type Fields = Readonly<Record<string, unknown>>;
interface Vector {
  readonly said: Fields;
  readonly items: Fields;
  readonly contentHash: string;
  readonly statement: string;
  readonly signature: string;
}

/** The items of a vector, as a server has them: keys as bytes, JWKs as objects. */
function deltaOf(items: Fields): KeySetDelta {
  const { markedKeys, revokedTokens, forgottenTokens, changedKeys, signingKeys, audienceKeys, ...rest } = items;
  const bytes = (value: unknown) => hex(value as string | undefined);
  const list = (value: unknown) => value as Fields[] | undefined;
  return {
    ...emptyDelta,
    ...rest,
    markedKeys: bytes(markedKeys),
    revokedTokens: bytes(revokedTokens),
    forgottenTokens: bytes(forgottenTokens),
    changedKeys: bytes(changedKeys),
    ...(signingKeys !== undefined && {
      signingKeys: list(signingKeys)?.map((one) => ({ ...one, publicJwk: JSON.parse(one.publicJwk as string) })),
    }),
    ...(audienceKeys !== undefined && {
      audienceKeys: list(audienceKeys)?.map((one) => ({ ...one, key: bytes(one.key) })),
    }),
  } as unknown as KeySetDelta;
}

const statementOf = (said: Fields, contentHash: Uint8Array) =>
  ({
    ...said,
    prevRevision: BigInt(said.prevRevision as string),
    revision: BigInt(said.revision as string),
    hash: hex(said.hash as string),
    digest: hex(said.digest as string),
    contentHash,
  }) as unknown as FeedStatement;

describe("signed events of feeds", () => {
  it.each<Vector>(vectors.events)("are signed as ever: $said.kind of $said.feed", ({ said, items, ...expected }) => {
    const content = contentHashOf(deltaOf(items));
    expect(Buffer.from(content).toString("hex")).toBe(expected.contentHash);
    const statement = feedStatementBytes(statementOf(said, content));
    expect(statement.toString("hex")).toBe(expected.statement);
    expect(verify(null, statement, key, hex(expected.signature))).toBe(true);
  });

  it.each<Vector>(vectors.events)(
    "have the same content hash once they were sent: $said.kind of $said.feed",
    ({ items, contentHash }) => {
      const sent = toBinary(KeySetItemsSchema, create(KeySetItemsSchema, keySetItemsToProto(deltaOf(items))));
      const read = keySetItemsFromProto(fromBinary(KeySetItemsSchema, sent));
      expect(Buffer.from(contentHashOf(read)).toString("hex")).toBe(contentHash);
    },
  );

  it.each([1, 2, 3])("have the same content hash if a snapshot is told in parts of %i ids", (size) => {
    const [snapshot] = vectors.events as [Vector];
    const hash = new ContentHash();
    for (const part of splitDelta(deltaOf(snapshot.items), size)) hash.add(part);
    expect(Buffer.from(hash.digest()).toString("hex")).toBe(snapshot.contentHash);
  });

  it("have keys that are named by their thumbprint and handed over by signature", () => {
    const { feedKey, handover } = vectors;
    expect(feedKeyId(hex(feedKey.publicKey))).toBe(feedKey.feedKeyId);
    expect(feedKeyId(hex(handover.publicKey))).toBe(handover.feedKeyId);
    const told = { predecessorId: handover.predecessorId, signature: hex(handover.signature) };
    expect(isHandedOver({ publicKey: hex(handover.publicKey), handover: told }, key)).toBe(true);
    expect(isHandedOver({ publicKey: hex(feedKey.publicKey), handover: told }, key)).toBe(false);
  });
});

const python = await requirement("python-tokens");
python.describe("vectors of feeds", (interpreter) => {
  it("are what another language makes of the words of key_set.proto", () => {
    const made = execFileSync(interpreter, [fileURLToPath(at("feed-vectors.py"))], { encoding: "utf8" });
    expect(JSON.parse(made)).toEqual(vectors);
  });
});
