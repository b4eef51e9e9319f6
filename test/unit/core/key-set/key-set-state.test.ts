import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Change, PublishedSigningKey } from "../../../../services/core/change.ts";
import { idBytes, type KeyId, newId, type TenantId, type TokenId } from "../../../../services/core/ids.ts";
import { applyInTurns } from "../../../../services/core/key-set/apply-in-turns.ts";
import {
  deltaOf,
  emptyDelta,
  mergeDeltas,
  packIds,
  splitDelta,
} from "../../../../services/core/key-set/key-set-delta.ts";
import { KeySetState } from "../../../../services/core/key-set/key-set-state.ts";
import { seededRandom } from "../../../fakes/random.ts";

const random = seededRandom("key set");
const tenantId = newId("ten", 0, random(10)) as TenantId;
const keyIds = Array.from({ length: 6 }, () => newId("key", 0, random(10)) as KeyId);
const tokenIds = Array.from({ length: 6 }, () => newId("tok", 0, random(10)) as TokenId);
const signingKey = (kid: string): PublishedSigningKey => ({ kid, state: "ACTIVE", publicJwk: { kty: "OKP", x: kid } });
const bytes = (state: KeySetState) => Buffer.from(state.digest).toString("hex");

/** A history in which every kind of change happens, some of them again. */
function someChanges(seed: string, count: number): readonly Change[] {
  const draw = seededRandom(seed);
  return Array.from({ length: count }, () => {
    const [kind = 0, which = 0, more = 0] = draw(3);
    const keyId = keyIds[which % keyIds.length] as KeyId;
    const tokenId = tokenIds[which % tokenIds.length] as TokenId;
    const changes: readonly Change[] = [
      { kind: "key", tenantId, event: "disabled", keyIds: [keyId] },
      { kind: "key", tenantId, event: "enabled", keyIds: [keyId] },
      { kind: "key", tenantId, event: "revoked", keyIds: [keyId, keyIds[more % keyIds.length] as KeyId] },
      { kind: "key", tenantId, event: "rotated", keyIds: [keyId], tokenEpoch: more },
      { kind: "key", tenantId, event: "forgotten", keyIds: [keyId] },
      { kind: "token", tenantId, event: "revoked", tokens: [{ keyId, tokenId, forgetTimeMs: 1 }] },
      { kind: "token", tenantId, event: "forgotten", tokens: [{ keyId, tokenId, forgetTimeMs: 1 }] },
      { kind: "tenant", tenantId, event: more % 2 === 0 ? "disabled" : "enabled" },
      { kind: "tenant", tenantId, event: "tokens_revoked", tokensIssuedBeforeMs: more * 1000 },
      {
        kind: "signing_key",
        tenantId,
        event: "rotated",
        signingKeyIds: [],
        published: [signingKey(`a${more % 3}`), signingKey("b")],
      },
      { kind: "key", tenantId, event: "changed", keyIds: [keyId] },
    ];
    return changes[kind % changes.length] as Change;
  });
}

describe("the state of a key set", () => {
  it("has the digest of its items, by whatever way it came to them", () => {
    for (let seed = 0; seed < 50; seed++) {
      const one = new KeySetState(1);
      const deltas = someChanges(`history ${seed}`, 60).flatMap((change) => {
        const delta = deltaOf(change, 0, (id) => one.markOf(id)) ?? [];
        if (!Array.isArray(delta)) one.apply(delta);
        return delta;
      });
      const merged = new KeySetState(2);
      merged.apply(mergeDeltas(deltas));
      expect(bytes(merged)).toBe(bytes(one));
      for (const idsMax of [1, 2, 5, 100]) {
        const split = new KeySetState(3);
        for (const part of splitDelta(mergeDeltas(deltas), idsMax)) split.apply(part);
        expect(bytes(split)).toBe(bytes(one));
        const copied = new KeySetState(4);
        for (const part of one.parts(idsMax)) {
          expect(part.marks.length + part.revokedTokens.length / 16).toBeLessThanOrEqual(idsMax);
          copied.apply(part);
        }
        expect(bytes(copied)).toBe(bytes(one));
      }
      for (const delta of deltas.slice(-1)) one.apply(delta);
      expect(bytes(merged)).toBe(bytes(one));
    }
  });

  it("is told in parts as it was when they were asked for, whatever changes meanwhile", () => {
    const one = new KeySetState(1);
    one.apply({ ...emptyDelta, markedKeys: packIds(keyIds), marks: [1, 2, 3, 4, 5, 6], tenantDisabled: true });
    const before = bytes(one);
    const copied = new KeySetState(2);
    let changes = 0;
    for (const part of one.parts(2)) {
      copied.apply(part);
      one.apply({ ...emptyDelta, markedKeys: packIds(keyIds), marks: Array(6).fill(++changes), tenantDisabled: false });
    }
    expect(bytes(copied)).toBe(before);
    expect(changes).toBeGreaterThanOrEqual(3);
  });

  it("applies in turns what it applies at once", async () => {
    const ids = seededRandom("many");
    const many = Array.from({ length: 9_000 }, () => newId("key", 0, ids(10)) as KeyId);
    const delta = { ...emptyDelta, markedKeys: packIds(many), marks: many.map((_, i) => i + 1), issuedBeforeMs: 5 };
    const [one, other] = [new KeySetState(1), new KeySetState(2)];
    one.apply(delta);
    let turns = 0;
    await applyInTurns(other, delta, async () => void turns++);
    expect([bytes(other), turns]).toEqual([bytes(one), 36]);
  });

  it("has the XOR of the SHA-256 of each item as its digest, and 0 without any", () => {
    const state = new KeySetState(1);
    expect(bytes(state)).toBe("00".repeat(32));
    const [keyId, tokenId] = [keyIds[0] as KeyId, tokenIds[0] as TokenId];
    state.apply({ ...emptyDelta, markedKeys: packIds([keyId]), marks: [0x8000_0001], tenantDisabled: true });
    state.apply({
      ...emptyDelta,
      revokedTokens: packIds([tokenId]),
      signingKeys: [signingKey("k")],
      issuedBeforeMs: 258,
    });
    const items = [
      Buffer.concat([Buffer.of(1), idBytes(keyId), Buffer.of(0x80, 0, 0, 1)]),
      Buffer.concat([Buffer.of(2), idBytes(tokenId)]),
      Buffer.concat([Buffer.of(3), Buffer.from('k\0ACTIVE\0{"kty":"OKP","x":"k"}')]),
      Buffer.of(4),
      Buffer.of(5, 0, 0, 0, 0, 0, 0, 1, 2),
    ];
    const digest = Buffer.alloc(32);
    for (const item of items) {
      const sum = createHash("sha256").update(item).digest();
      for (let i = 0; i < 32; i++) digest[i] = (digest[i] as number) ^ (sum[i] as number);
    }
    expect(bytes(state)).toBe(digest.toString("hex"));
  });

  it("differs in its digest after any change of any item", () => {
    const seen = new Set<string>();
    const state = new KeySetState(1);
    for (const mark of [1, 2 ** 30, 2 ** 31, 2 ** 31 + 1]) {
      state.apply({ ...emptyDelta, markedKeys: packIds([keyIds[0] as KeyId]), marks: [mark] });
      seen.add(bytes(state));
    }
    for (const more of [{ tenantDisabled: true }, { issuedBeforeMs: 1 }, { issuedBeforeMs: 2 }]) {
      state.apply({ ...emptyDelta, ...more });
      seen.add(bytes(state));
    }
    expect(seen.size).toBe(7);
  });
});
