import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { VerificationCode } from "../../../gen/ichor/v1/verification_pb.ts";
import { pepperLeadMs } from "../../../services/core/current-pepper.ts";
import { loadMasterKeys } from "../../../services/keyring/master-key.ts";
import { addPepper, retirePepper } from "../../../services/keyring/pepper-rotation.ts";
import { secretsStatus } from "../../../services/keyring/secrets-status.ts";
import { pepperToBind } from "../../../services/mutation/pepper-to-bind.ts";
import { reasonOfRejection } from "../../support/documented.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";

let t: TestApp;
beforeEach(async () => {
  t = await startTestApp();
});
afterEach(() => t.close());

const masterKeys = () => loadMasterKeys(join(t.dataDir, "master.key"));
const place = () => ({ store: t.app.store, now: t.clock.now });
const add = () => {
  t.clock.advance(1);
  return addPepper(place(), masterKeys(), randomBytes);
};
const retire = (id: string, force = false) => retirePepper(place(), id, force);
const status = () => secretsStatus(t.app.store, masterKeys(), t.clock.now());
const firstPepper = async () => (await status()).peppers[0]?.pepperId ?? "";

describe("a pepper", () => {
  it("isn't retired while it is the current one, about to be, or none", async () => {
    const first = await firstPepper();
    expect((await retire(first, true)).outcome).toBe("current");
    const second = await add();
    expect((await retire(first, true)).outcome).toBe("current");
    expect((await retire(second, true)).outcome).toBe("current");
    expect((await retire("pep_none", true)).outcome).toBe("unknown");
    expect((await status()).peppers.map(({ pepperId, current }) => [pepperId, current])).toEqual([
      [second, false],
      [first, true],
    ]);
  });

  it("isn't retired while anything is bound to it, whatever that is", async () => {
    const first = await firstPepper();
    const { apiKey } = await t
      .admin()
      .importApiKey({ name: "i", secret: { case: "raw", value: "imported-credential" } });
    await t.admin().revokeApiKey({ keyId: apiKey?.id ?? "" });
    await t.admin().deleteApiKey({ keyId: apiKey?.id ?? "" });
    const { apiKey: dead } = await t.admin().issueApiKey({ name: "dead", requestId: "repeatable" });
    await t.admin().revokeApiKey({ keyId: dead?.id ?? "" });
    await add();
    t.clock.advance(pepperLeadMs);
    const loss = { live: 1, dead: 1, tombstones: 1, repeats: 1 };
    expect(await retire(first)).toEqual({ outcome: "in_use", loss });
    t.clock.advance(86_400_000);
    await t.app.store.tendIdempotencyRecords(t.clock.now(), 100);
    await t.app.store.tendIdempotencyRecords(t.clock.now(), 100);
    expect((await retire(first)).loss).toMatchObject({ ...loss, repeats: 0 });
  });

  it("that was retired by force leaves its secrets unknown, which is an error and not an answer", async () => {
    const first = await firstPepper();
    const { credential: old } = await t.admin().issueApiKey({ name: "k" });
    const admin = await t.admin().issueApiKey({ name: "admin", scopes: ["ichor:*"] });
    await add();
    t.clock.advance(pepperLeadMs);
    // Any news of secrets makes the server look which is current.
    const third = await add();
    const bound = async () => (await t.app.store.getKey(admin.apiKey?.id as never))?.secretVersions[0]?.pepperId;
    while ((await bound()) === first) {
      await t.admin(admin.credential).verifyCredential({ credential: admin.credential });
      await nextTurn();
    }
    const { credential: young } = await t.admin(admin.credential).issueApiKey({ name: "k" });
    expect(await retire(first, true)).toMatchObject({ outcome: "retired", loss: { live: 2 } });
    const verify = (credential: string) => t.admin(admin.credential).verifyCredential({ credential });
    expect(await reasonOfRejection(verify(old))).toBe("SECRET_NOT_LOADED");
    expect((await verify(young)).code).toBe(VerificationCode.VALID);
    expect((await status()).peppers.map(({ pepperId, live, createTimeMs }) => [pepperId, live, createTimeMs])).toEqual([
      [third, 0, t.clock.now()],
      [expect.any(String), 2, expect.any(Number)],
      [first, 2, undefined],
    ]);
  });

  it("that this server doesn't know to be gone gets no new secret", async () => {
    const pepper = { id: "pep_gone", key: new Uint8Array(32) };
    const peppers = { current: () => pepper, get: () => pepper, live: () => [pepper], someSealed: () => false };
    const bind = t.app.store.mutate(async (tx) => {
      await pepperToBind(tx, peppers);
      return { result: undefined, unchanged: true };
    });
    await expect(bind).rejects.toMatchObject({ reason: "SECRET_NOT_LOADED" });
  });
});
