import { describe, expect, it } from "vitest";
import type { ApiKey, Revocation, SecretVersion } from "../../../services/core/api-key.ts";
import {
  currentVersion,
  disableKey,
  enableKey,
  endGrace,
  isRootKey,
  keyStatus,
  liveVersions,
  mayHoldReservedScopes,
  type Rotation,
  requireDeletable,
  revokeKey,
  rotateKey,
  versionLive,
} from "../../../services/core/key-life.ts";
import { hourMs, madeMs, reasonOf, someKey, someVersion } from "./some-key.ts";

const nowMs = madeMs + 10 * hourMs;
const revocation: Revocation = { reason: "KEY_COMPROMISE", comment: "in a public repository", timeMs: nowMs };
const revoked = someKey({ state: "REVOKED", revocation });
const rotation: Rotation = {
  digest: new Uint8Array(32).fill(2),
  pepperId: "pepper-2",
  nowMs,
  gracePeriodMs: 24 * hourMs,
  revokeDerived: false,
};
/** Versions with these grace ends, newest first; the newest has none. */
const versions = (...graceEnds: readonly number[]): SecretVersion[] => [
  someVersion({ number: graceEnds.length + 1 }),
  ...graceEnds.map((graceEndTimeMs, i) => someVersion({ number: graceEnds.length - i, graceEndTimeMs })),
];
const graceEnds = (key: ApiKey) => key.secretVersions.map((version) => version.graceEndTimeMs);

describe("keyStatus", () => {
  it.each<[string, Partial<ApiKey>, string]>([
    ["a live key", {}, "ACTIVE"],
    ["a key before its end", { expireTimeMs: nowMs + 1 }, "ACTIVE"],
    ["a key at its end", { expireTimeMs: nowMs }, "EXPIRED"],
    ["a suspended key", { state: "DISABLED" }, "DISABLED"],
    ["a suspended key at its end", { state: "DISABLED", expireTimeMs: nowMs }, "EXPIRED"],
    ["a revoked key at its end", { state: "REVOKED", expireTimeMs: nowMs }, "REVOKED"],
  ])("of %s", (_, changes, status) => {
    expect(keyStatus(someKey(changes), nowMs)).toBe(status);
  });
});

describe("secret versions", () => {
  it("live until their grace end, which doesn't belong to it", () => {
    expect(versionLive(someVersion(), Number.MAX_SAFE_INTEGER)).toBe(true);
    expect(versionLive(someVersion({ graceEndTimeMs: nowMs + 1 }), nowMs)).toBe(true);
    expect(versionLive(someVersion({ graceEndTimeMs: nowMs }), nowMs)).toBe(false);
    const key = someKey({ secretVersions: versions(nowMs + 1, nowMs) });
    expect(liveVersions(key, nowMs).map((version) => version.number)).toEqual([3, 2]);
  });

  it("have a current one: the newest", () => {
    expect(currentVersion(someKey({ secretVersions: versions(nowMs + 1) })).number).toBe(2);
    expect(() => currentVersion(someKey({ secretVersions: [] }))).toThrow(TypeError);
  });
});

describe("rotateKey", () => {
  it("adds a secret and keeps the old one valid until the grace end", () => {
    const rotated = rotateKey(someKey(), rotation);
    const { digest, pepperId } = rotation;
    expect(rotated).toEqual({
      ...someKey(),
      secretVersions: [
        { number: 2, digest, pepperId, createTimeMs: nowMs },
        someVersion({ graceEndTimeMs: nowMs + 24 * hourMs }),
      ],
      updateTimeMs: nowMs,
    });
  });

  it("leaves the key that it was given as it is", () => {
    const key = someKey();
    rotateKey(key, rotation);
    expect(key).toEqual(someKey());
  });

  it("never lengthens a grace, and shortens one that would outlast the new one", () => {
    const key = someKey({ secretVersions: versions(nowMs + 48 * hourMs, nowMs + hourMs) });
    expect(graceEnds(rotateKey(key, rotation))).toEqual([
      undefined,
      nowMs + 24 * hourMs,
      nowMs + 24 * hourMs,
      nowMs + hourMs,
    ]);
  });

  it("ends no grace after the key's own end", () => {
    const key = someKey({ expireTimeMs: nowMs + 2 * hourMs });
    expect(graceEnds(rotateKey(key, rotation))).toEqual([undefined, nowMs + 2 * hourMs]);
  });

  it("ends the old secret at once without grace, and keeps it to say REVOKED", () => {
    const rotated = rotateKey(someKey(), { ...rotation, gracePeriodMs: 0 });
    expect(graceEnds(rotated)).toEqual([undefined, nowMs]);
    expect(liveVersions(rotated, nowMs)).toHaveLength(1);
  });

  it("drops secrets whose grace had ended before", () => {
    const key = someKey({ secretVersions: versions(nowMs + 1, nowMs, nowMs - 1) });
    expect(rotateKey(key, rotation).secretVersions.map((version) => version.number)).toEqual([5, 4, 3]);
  });

  it("counts versions on, and doesn't grow without bound however often it is done", () => {
    let key = someKey();
    for (let i = 0; i < 100; i++) key = rotateKey(key, { ...rotation, gracePeriodMs: 0, nowMs: nowMs + i });
    expect(key.secretVersions.map((version) => version.number)).toEqual([101, 100]);
  });

  it("raises the token epoch only if derived tokens are to end", () => {
    expect(rotateKey(someKey({ tokenEpoch: 4 }), rotation).tokenEpoch).toBe(4);
    expect(rotateKey(someKey({ tokenEpoch: 4 }), { ...rotation, revokeDerived: true }).tokenEpoch).toBe(5);
  });

  it("lets ten secrets live and refuses the eleventh, unless the others end at once", () => {
    const ten = someKey({ secretVersions: versions(...Array<number>(9).fill(nowMs + hourMs)) });
    const nine = someKey({ secretVersions: versions(...Array<number>(8).fill(nowMs + hourMs)) });
    expect(liveVersions(rotateKey(nine, rotation), nowMs)).toHaveLength(10);
    expect(reasonOf(() => rotateKey(ten, rotation))).toBe("TOO_MANY_SECRET_VERSIONS");
    expect(liveVersions(rotateKey(ten, { ...rotation, gracePeriodMs: 0 }), nowMs)).toHaveLength(1);
  });

  it.each<[string, Partial<ApiKey>]>([
    ["KEY_REVOKED", { state: "REVOKED", expireTimeMs: nowMs }],
    ["KEY_EXPIRED", { expireTimeMs: nowMs }],
    ["KEY_KIND_NOT_ALLOWED", { kind: "IMPORTED_KEY" }],
  ])("throws %s", (reason, changes) => {
    expect(reasonOf(() => rotateKey(someKey(changes), rotation))).toBe(reason);
  });

  it("rotates a suspended key, which stays suspended", () => {
    expect(rotateKey(someKey({ state: "DISABLED" }), rotation).state).toBe("DISABLED");
  });

  it.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])("throws TypeError for the grace %d", (gracePeriodMs) => {
    expect(() => rotateKey(someKey(), { ...rotation, gracePeriodMs })).toThrow(TypeError);
  });
});

describe("endGrace", () => {
  it("leaves only the newest secret alive", () => {
    const key = someKey({ secretVersions: versions(nowMs + hourMs, nowMs - hourMs) });
    const ended = endGrace(key, nowMs);
    expect(graceEnds(ended)).toEqual([undefined, nowMs, nowMs - hourMs]);
    expect(ended.updateTimeMs).toBe(nowMs);
  });

  it("gives the same object if no grace is left to end", () => {
    for (const key of [someKey(), someKey({ secretVersions: versions(nowMs) })]) expect(endGrace(key, nowMs)).toBe(key);
  });

  it("throws KEY_REVOKED", () => {
    expect(reasonOf(() => endGrace(revoked, nowMs))).toBe("KEY_REVOKED");
  });
});

describe("disableKey and enableKey", () => {
  const disabled = someKey({ state: "DISABLED" });

  it("suspend and resume", () => {
    expect(disableKey(someKey(), nowMs)).toEqual(someKey({ state: "DISABLED", updateTimeMs: nowMs }));
    expect(enableKey(disabled, nowMs)).toEqual(someKey({ updateTimeMs: nowMs }));
  });

  it("give the same object if there is nothing to do", () => {
    const active = someKey();
    expect(disableKey(disabled, nowMs)).toBe(disabled);
    expect(enableKey(active, nowMs)).toBe(active);
  });

  it("throw KEY_REVOKED: a revoked key never comes back", () => {
    expect(reasonOf(() => disableKey(revoked, nowMs))).toBe("KEY_REVOKED");
    expect(reasonOf(() => enableKey(revoked, nowMs))).toBe("KEY_REVOKED");
  });
});

describe("revokeKey", () => {
  it.each(["ACTIVE", "DISABLED"] as const)("ends a key that is %s, with reason and time", (state) => {
    expect(revokeKey(someKey({ state }), revocation)).toEqual({ ...revoked, updateTimeMs: nowMs });
  });

  it("gives the same object for a revoked key: the first reason counts", () => {
    expect(revokeKey(revoked, { reason: "SUPERSEDED", comment: "", timeMs: nowMs + 1 })).toBe(revoked);
  });
});

describe("requireDeletable", () => {
  it.each<[string, Partial<ApiKey>, string | undefined]>([
    ["a live key", {}, "KEY_STILL_LIVE"],
    ["a suspended key", { state: "DISABLED" }, "KEY_STILL_LIVE"],
    ["a revoked key", { state: "REVOKED" }, undefined],
    ["an expired key", { expireTimeMs: nowMs }, undefined],
    ["a suspended key that expired", { state: "DISABLED", expireTimeMs: nowMs }, undefined],
  ])("for %s", (_, changes, reason) => {
    expect(reasonOf(() => requireDeletable(someKey(changes), nowMs))).toBe(reason);
  });
});

describe("what a key may hold", () => {
  it("is a root credential only if its scopes list ichor:* literally", () => {
    expect(isRootKey(someKey({ scopes: ["a", "ichor:*"] }))).toBe(true);
    expect(isRootKey(someKey({ scopes: ["*", "ichor:system", "ichor:keys:*"] }))).toBe(false);
  });

  it("is no root credential if it can't be used from everywhere, since it may be usable from nowhere", () => {
    const scopes = ["ichor:*"];
    expect(isRootKey(someKey({ scopes, allowedCidrs: ["192.0.2.1/32"] }))).toBe(false);
    expect(isRootKey(someKey({ scopes, constraints: { audiences: ["a"] } }))).toBe(false);
  });

  it("is reserved scopes only for a secret that Ichor made", () => {
    expect(mayHoldReservedScopes(someKey())).toBe(true);
    expect(mayHoldReservedScopes(someKey({ visibility: "PUBLIC" }))).toBe(false);
    expect(mayHoldReservedScopes(someKey({ kind: "IMPORTED_KEY" }))).toBe(false);
  });
});
