import { beforeEach, describe, expect, it } from "vitest";
import type { AuditEvent } from "../../../services/core/audit-event.ts";
import { IchorError } from "../../../services/core/errors.ts";
import { type KeyId, newId, type TenantId, type TokenId } from "../../../services/core/ids.ts";
import type { Mutation, StoreTransaction } from "../../../services/store/port.ts";
import { NoticeRecorder, noticesMax } from "../../../services/verification/notice-recorder.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { seededRandom } from "../../fakes/random.ts";

const random = seededRandom("notices");
const tenant = () => newId("ten", 1, random(10)) as TenantId;
const home = tenant();
const keyId = newId("key", 1, random(10)) as KeyId;

let clock: FakeClock;
let written: Pick<AuditEvent, "tenantId" | "action" | "details">[];
let timers: (() => void)[];
let down: boolean;
let recorder: NoticeRecorder;
beforeEach(() => {
  clock = new FakeClock();
  written = [];
  timers = [];
  down = false;
  recorder = new NoticeRecorder({
    store: {
      async mutate(work) {
        if (down) throw new IchorError("STORE_UNAVAILABLE", "gone");
        const outcome: Mutation<never> = await (work as never as (tx: StoreTransaction) => Promise<Mutation<never>>)(
          {} as never,
        );
        if ("audit" in outcome) written.push(outcome.audit);
        return { result: undefined as never, revision: 1n };
      },
    },
    homeId: home,
    now: clock.now,
    jitter: () => random(4).reduce((sum, byte) => sum / 256 + byte / 256, 0) % 1,
    schedule: (callback) => {
      timers.push(callback);
      return () => {};
    },
    log: { warn() {} },
  });
});

const refuse = (reason: "CREDENTIAL_REFUSED" | "KEY_NOT_FOUND", tenantId?: TenantId, address = "192.0.2.1") =>
  recorder.refused({
    method: "ichor.v1.AdminService/GetApiKey",
    reason,
    clientAddress: address,
    tenantId,
    keyId: undefined,
  });

describe("NoticeRecorder", () => {
  it("makes one event of a flood of refused calls, with its count and a few samples", async () => {
    for (let i = 0; i < 100_000; i++) refuse("CREDENTIAL_REFUSED", undefined, `192.0.2.${i % 200}`);
    await recorder.flush();
    expect(written).toHaveLength(1);
    expect(written[0]).toMatchObject({
      tenantId: home,
      action: "CallsRefused",
      details: { reason: "CREDENTIAL_REFUSED", count: "100000", since: "2026-01-01T00:00:00.000Z" },
    });
    const samples = written[0]?.details?.samples?.split(", ") ?? [];
    expect(samples).toHaveLength(8);
    expect(new Set(samples).size).toBeGreaterThan(4);
    for (const sample of samples) expect(sample).toMatch(/^GetApiKey 192\.0\.2\.\d+$/);
  });

  it("sets one timer for many notices, and none when there is nothing", async () => {
    for (let i = 0; i < 10; i++) refuse("CREDENTIAL_REFUSED");
    expect(timers).toHaveLength(1);
    await recorder.flush();
    expect(timers).toHaveLength(1);
    await recorder.flush();
    expect(written).toHaveLength(1);
  });

  it("passes over what failed for another reason than who called", async () => {
    refuse("KEY_NOT_FOUND");
    recorder.refused({ method: "m", reason: undefined, clientAddress: "", tenantId: undefined, keyId: undefined });
    await recorder.flush();
    expect(written).toEqual([]);
  });

  it("writes no more than its bound at a time, the most frequent first, and loses none", async () => {
    const tenants = Array.from({ length: noticesMax + 5 }, tenant);
    tenants.forEach((id, i) => {
      for (let n = 0; n <= i; n++) refuse("CREDENTIAL_REFUSED", id);
    });
    await recorder.flush();
    expect(written.map(({ details }) => Number(details?.count))).toEqual(
      Array.from({ length: noticesMax }, (_, i) => noticesMax + 5 - i),
    );
    await recorder.stop();
    expect(written).toHaveLength(noticesMax + 5);
  });

  it("keeps no more tallies than its bound, whatever tenants are named", async () => {
    for (let i = 0; i < 3_000; i++) refuse("CREDENTIAL_REFUSED", tenant());
    await recorder.flush();
    expect(written[0]).toMatchObject({ tenantId: home, details: { count: "2000" } });
  });

  it("counts on what could not be written", async () => {
    refuse("CREDENTIAL_REFUSED");
    down = true;
    await recorder.flush();
    refuse("CREDENTIAL_REFUSED");
    down = false;
    await recorder.flush();
    expect(written.map(({ details }) => details?.count)).toEqual(["2"]);
  });

  it("counts derived tokens by tenant, and samples their ids", async () => {
    const other = tenant();
    const tokenId = newId("tok", 1, random(10)) as TokenId;
    recorder.derived(other, keyId, tokenId);
    recorder.derived(other, keyId, tokenId);
    await recorder.flush();
    const sample = `${tokenId} of ${keyId}`;
    expect(written).toMatchObject([
      { tenantId: other, action: "TokensDerived", details: { count: "2", samples: `${sample}, ${sample}` } },
    ]);
  });
});
