import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { CredentialKind } from "../../../gen/ichor/v1/api_key_pb.ts";
import { DeriveTokenResponseSchema } from "../../../gen/ichor/v1/derivation_service_pb.ts";
import { VerifyCredentialResponseSchema } from "../../../gen/ichor/v1/verification_pb.ts";
import { IchorError } from "../../../services/core/errors.ts";
import { UpstreamJwts } from "../../../services/sidecar/upstream-jwt.ts";
import { VerifierUnavailableError } from "../../../services/verifier/unavailable-error.ts";
import type { VerifyResult } from "../../../services/verifier/verify-result.ts";
import { toTimestamp } from "../../../services/wire/time.ts";

const keyId = "key_00000000000000000000000001";
const demand = {
  presentedCredential: "ichor_sk_x",
  said: create(VerifyCredentialResponseSchema, { kind: CredentialKind.ISSUED_KEY, key: { id: keyId } }),
  verifiedAudience: "",
  audience: "https://service.example",
  scopes: [],
};
const minute = 60_000;

/** Tokens `t1`, `t2` and so on, each of ten minutes. */
function started() {
  const state = {
    ms: 0,
    made: 0,
    failing: false,
    ended: new Set<string>(),
    stale: false,
    gate: Promise.resolve(),
    begun: () => {},
  };
  const jwts = new UpstreamJwts({
    async derive() {
      state.begun();
      await state.gate;
      if (state.failing) throw new IchorError("UPSTREAM_UNAVAILABLE", "gone");
      return create(DeriveTokenResponseSchema, {
        token: `t${++state.made}`,
        expireTime: toTimestamp(state.ms + 10 * minute),
      });
    },
    async verify(token) {
      if (state.stale) throw new VerifierUnavailableError("STALE", "old");
      const code = state.ended.has(token) ? "REVOKED" : "AUDIENCE_MISMATCH";
      return { valid: false, code, revision: 0n, age: 0 } satisfies VerifyResult;
    },
    now: () => state.ms,
  });
  return { jwts, state, ask: () => jwts.of(demand) };
}

const unavailable = expect.objectContaining({ reason: "UPSTREAM_UNAVAILABLE" });

describe("tokens for services", () => {
  it("are used for half of their life, and to 30 s before its end if no other can be had", async () => {
    const { state, ask } = started();
    expect(await ask()).toBe("t1");
    state.ms = 5 * minute - 1;
    expect(await ask()).toBe("t1");
    state.ms = 5 * minute;
    expect(await ask()).toBe("t2");
    state.failing = true;
    state.ms = 15 * minute - 30_001;
    expect(await ask()).toBe("t2");
    state.ms++;
    await expect(ask()).rejects.toEqual(unavailable);
  });

  it("that a change of the key overtook are kept from who asks after it", async () => {
    const { jwts, state, ask } = started();
    let open = () => {};
    state.gate = new Promise((resolve) => {
      open = resolve;
    });
    const begun = new Promise<void>((resolve) => {
      state.begun = resolve;
    });
    const before = ask();
    await begun;
    jwts.changed({ of: "some", keyIds: [keyId], imported: false });
    const after = ask();
    open();
    expect(await Promise.all([before, after])).toEqual(["t1", "t2"]);
    expect(await ask()).toBe("t2");
    jwts.changed({ of: "some", keyIds: ["key_other"], imported: true });
    expect(await ask()).toBe("t2");
    jwts.changed({ of: "all" });
    expect(await ask()).toBe("t3");
  });

  it("that were ended are replaced; such that a server which lags behind has just made are nobody's", async () => {
    const { state, ask } = started();
    expect(await ask()).toBe("t1");
    state.ended.add("t1").add("t2");
    await expect(ask()).rejects.toEqual(unavailable);
    expect(await ask()).toBe("t3");
  });

  it("of which it isn't known how they stand are made anew", async () => {
    const { state, ask } = started();
    expect(await ask()).toBe("t1");
    state.stale = true;
    expect(await ask()).toBe("t2");
    state.failing = true;
    await expect(ask()).rejects.toEqual(unavailable);
  });
});
