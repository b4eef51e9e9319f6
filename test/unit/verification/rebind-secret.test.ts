import { describe, expect, it } from "vitest";
import type { KeyId } from "../../../services/core/ids.ts";
import { type RebindDeps, rebindSecret } from "../../../services/verification/rebind-secret.ts";
import { otherKeyId, peppersOf, someKey, someKeyId, somePepper, someVersion } from "../core/some-key.ts";

const presented = { kind: "IMPORTED_KEY", rawSha256: new Uint8Array(32) } as const;
const old = someVersion({ pepperId: "pepper-1" });

/** A store whose answers come when the test gives them. */
function rebinding() {
  const asked: { keyId: KeyId; to: string; answer: (rebound: boolean) => void; fail: (error: Error) => void }[] = [];
  const forgotten: KeyId[] = [];
  const warned: object[] = [];
  const store: RebindDeps["store"] = {
    rebindSecret: (keyId, _number, _from, to) =>
      new Promise((answer, fail) => void asked.push({ keyId, to, answer, fail })),
  };
  const peppers = peppersOf(somePepper(2), somePepper(1));
  const rebind = rebindSecret({
    store,
    peppers,
    forgetKey: (id) => void forgotten.push(id),
    log: { warn: (fields) => void warned.push(fields) },
  });
  return { rebind, asked, forgotten, warned };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("a secret that was seen", () => {
  it("is bound to the current pepper once, however often it is seen meanwhile, and its record is read again", async () => {
    const { rebind, asked, forgotten } = rebinding();
    for (let i = 0; i < 3; i++) rebind(presented, someKey(), old);
    expect(asked.map(({ keyId, to }) => [keyId, to])).toEqual([[someKeyId, "pepper-2"]]);
    asked[0]?.answer(true);
    await settle();
    expect(forgotten).toEqual([someKeyId]);
  });

  it("is left alone if it is bound to it", () => {
    const { rebind, asked } = rebinding();
    rebind(presented, someKey(), someVersion({ pepperId: "pepper-2" }));
    expect(asked).toEqual([]);
  });

  it("waits for its next use while others are being bound: they don't take the store from who verifies", async () => {
    const { rebind, asked } = rebinding();
    for (let number = 1; number <= 10; number++) rebind(presented, someKey(), { ...old, number });
    expect(asked).toHaveLength(4);
    asked[0]?.answer(true);
    await settle();
    rebind(presented, someKey({ id: otherKeyId }), old);
    expect(asked.at(-1)?.keyId).toBe(otherKeyId);
  });

  it("is tried again at its next use if that failed", async () => {
    const { rebind, asked, warned } = rebinding();
    rebind(presented, someKey(), old);
    asked[0]?.fail(new Error("gone"));
    await settle();
    expect(warned).toHaveLength(1);
    rebind(presented, someKey(), old);
    expect(asked).toHaveLength(2);
  });
});
