import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { CredentialKind } from "../../../gen/ichor/v1/api_key_pb.ts";
import {
  VerificationCode as Code,
  type VerifyCredentialRequest,
  VerifyCredentialRequestSchema,
  type VerifyCredentialResponse,
  VerifyCredentialResponseSchema,
} from "../../../gen/ichor/v1/verification_pb.ts";
import { ChangeMarks } from "../../../services/sidecar/change-marks.ts";
import { joinedMax, KeyAnswers, refreshMs, unknownMax, unknownMsMax } from "../../../services/sidecar/key-answers.ts";
import { toTimestamp } from "../../../services/wire/time.ts";

const keyId = "key_00000000000000000000000001";
const request = (credential: string, more: object = {}) =>
  create(VerifyCredentialRequestSchema, { credential, ...more });
const answer = (code: Code, expireTimeMs?: number) =>
  create(VerifyCredentialResponseSchema, {
    valid: code === Code.VALID,
    code,
    kind: CredentialKind.ISSUED_KEY,
    key: { id: keyId, expireTime: toTimestamp(expireTimeMs) },
  });
const none = create(VerifyCredentialResponseSchema, { code: Code.NOT_FOUND });

/** A cache whose server answers when the test says so. */
function cache() {
  const asked: {
    request: VerifyCredentialRequest;
    keyId: string | undefined;
    answer: (a: VerifyCredentialResponse) => void;
  }[] = [];
  const clock = { wallMs: 1_000_000, monotonicMs: 0 };
  const keys = new KeyAnswers({
    ask: (asking, keyId) => new Promise((resolve) => asked.push({ request: asking, keyId, answer: resolve })),
    now: () => clock.wallMs,
    monotonicMs: () => clock.monotonicMs,
  });
  const learn = async (asking: VerifyCredentialRequest, told: VerifyCredentialResponse) => {
    const first = keys.first(asking);
    asked.at(-1)?.answer(told);
    await first;
  };
  return { keys, asked, clock, learn };
}

describe("the kept answers about keys", () => {
  it("keep none that was asked for before its key changed, and let nobody join the question", async () => {
    const { keys, asked } = cache();
    const before = keys.first(request("a"));
    keys.changed({ of: "some", keyIds: [keyId], imported: false });
    const after = keys.first(request("a"));
    expect(asked).toHaveLength(2);
    asked[0]?.answer(answer(Code.VALID));
    expect((await before).code).toBe(Code.VALID);
    expect(keys.known(request("a"))).toBeUndefined();
    asked[1]?.answer(answer(Code.REVOKED));
    await after;
    expect(keys.known(request("a"))?.code).toBe(Code.REVOKED);
  });

  it("keep one whose key didn't change while another did", async () => {
    const { keys, asked } = cache();
    const first = keys.first(request("a"));
    keys.changed({ of: "some", keyIds: ["key_0000000000000000000000000z"], imported: false });
    asked[0]?.answer(answer(Code.VALID));
    await first;
    expect(keys.known(request("a"))?.code).toBe(Code.VALID);
  });

  it("keep no 'unknown' that was asked for before an import", async () => {
    const { keys, asked, learn } = cache();
    const first = keys.first(request("a"));
    keys.changed({ of: "some", keyIds: [], imported: true });
    asked[0]?.answer(none);
    await first;
    expect(keys.known(request("a"))).toBeUndefined();
    await learn(request("a"), none);
    expect(keys.known(request("a", { requiredScopes: ["x"] }))?.code).toBe(Code.NOT_FOUND);
    keys.changed({ of: "some", keyIds: [], imported: true });
    expect(keys.known(request("a"))).toBeUndefined();
  });

  it("are asked for with the revision that is known", () => {
    const { keys, asked } = cache();
    keys.revision = 7n;
    void keys.first(request("a"));
    void keys.first(request("b", { minRevision: 9n }));
    expect(asked.map(({ request }) => request.minRevision)).toEqual([7n, 9n]);
  });

  it("are forgotten at a snapshot, with those under way", async () => {
    const { keys, asked, learn } = cache();
    await learn(request("a"), answer(Code.VALID));
    await learn(request("b"), none);
    const underWay = keys.first(request("c"));
    keys.changed({ of: "all" });
    asked.at(-1)?.answer(answer(Code.VALID));
    await underWay;
    expect(["a", "b", "c"].map((text) => keys.known(request(text)))).toEqual([undefined, undefined, undefined]);
  });

  it("end with the credential; that it has ended doesn't", async () => {
    const { keys, clock, learn } = cache();
    await learn(request("a"), answer(Code.VALID, clock.wallMs + 1_000));
    clock.wallMs += 999;
    expect(keys.known(request("a"))?.code).toBe(Code.VALID);
    clock.wallMs += 1;
    expect(keys.known(request("a"))).toBeUndefined();
    await learn(request("a"), answer(Code.EXPIRED, clock.wallMs));
    expect(keys.known(request("a"))?.code).toBe(Code.EXPIRED);
  });

  it.each([Code.NOT_YET_VALID, Code.RATE_LIMITED, 99 as Code])(
    "keep no %s, which time changes or nobody knows",
    async (code) => {
      const { keys, learn } = cache();
      await learn(request("a"), answer(code));
      expect(keys.known(request("a"))).toBeUndefined();
    },
  );

  it("tell the server once a minute that a key is in use, without waiting for it", async () => {
    const { keys, asked, clock, learn } = cache();
    await learn(request("a"), answer(Code.VALID));
    clock.monotonicMs += refreshMs;
    expect(keys.known(request("a"))?.code).toBe(Code.VALID);
    expect(keys.known(request("a"))?.code).toBe(Code.VALID);
    expect(asked).toHaveLength(2);
    expect(asked[1]?.keyId).toBe(keyId);
  });

  it("ask again about an unknown credential after a minute", async () => {
    const { keys, clock, learn } = cache();
    await learn(request("a"), none);
    clock.monotonicMs += unknownMsMax - 1;
    expect(keys.known(request("a"))).toBeDefined();
    clock.monotonicMs += 1;
    expect(keys.known(request("a"))).toBeUndefined();
  });

  it("let only so many wait for a question that somebody has asked", async () => {
    const { keys, asked } = cache();
    const waiting = Array.from({ length: joinedMax + 1 }, () => keys.first(request("a")));
    await expect(keys.first(request("a"))).rejects.toMatchObject({ reason: "UPSTREAM_UNAVAILABLE" });
    const another = keys.first(request("b"));
    for (const one of asked) one.answer(answer(Code.VALID));
    await Promise.all([...waiting, another]);
    expect(asked).toHaveLength(2);
    expect(keys.known(request("a"))?.code).toBe(Code.VALID);
  });

  it("are bounded in number for credentials that are none", async () => {
    const { keys, learn } = cache();
    for (let i = 0; i <= unknownMax; i++) await learn(request(`${i}`), none);
    expect(keys.known(request("0"))).toBeUndefined();
    expect(keys.known(request("1"))).toBeDefined();
  });

  it("aren't mixed up by the order of facts, nor by where one ends and the next begins", async () => {
    const { keys, learn } = cache();
    await learn(request("a", { context: { x: "1", y: "2" } }), answer(Code.VALID));
    expect(keys.known(request("a", { context: { y: "2", x: "1" } }))).toBeDefined();
    expect(keys.known(request("a", { context: { x: "1", y: "3" } }))).toBeUndefined();
    expect(keys.known(request("a", { audience: "x" }))).toBeUndefined();
    expect(keys.known(request("a", { clientIp: "x" }))).toBeUndefined();
  });
});

describe("the marks of changes", () => {
  it("count a key as changed once its change isn't remembered any more", () => {
    const marks = new ChangeMarks();
    marks.note(["first"], false);
    const moment = marks.now;
    expect(marks.unchangedSince(moment, "first")).toBe(true);
    for (let i = 0; i < 10_001; i++) marks.note([`k${i}`], false);
    expect(marks.unchangedSince(moment, "first")).toBe(false);
    expect(marks.unchangedSince(marks.now, "first")).toBe(true);
  });
});
