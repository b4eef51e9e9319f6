import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { AdminService } from "../../../gen/ichor/v1/admin_service_pb.ts";
import { VerificationCode, VerifyCredentialRequestSchema } from "../../../gen/ichor/v1/verification_pb.ts";
import { IchorError } from "../../../services/core/errors.ts";
import {
  callsPerKeyMax,
  questionsMax,
  strangersLimit,
  strangersMax,
  Upstream,
} from "../../../services/sidecar/upstream.ts";

const request = create(VerifyCredentialRequestSchema, { credential: "x" });
/** Another key each time. */
const keyId = () => `key_${randomUUID()}`;
const reasonOf = (error: unknown) => (error instanceof IchorError ? error.reason : error);

function upstreamOf(answer: () => Promise<object> | object) {
  const turns: unknown[] = [];
  const clock = { ms: 0 };
  let asked = 0;
  const transport = createRouterTransport(({ rpc }) => {
    rpc(AdminService.method.verifyCredential, () => {
      asked++;
      return answer();
    });
  });
  const upstream = new Upstream({
    transport,
    credential: "own",
    monotonicMs: () => clock.ms,
    onTurn: (failure) => turns.push(failure),
  });
  return { upstream, turns, clock, asked: () => asked };
}

describe("the server that a side-car asks", () => {
  it("is asked about few credentials at a time that weren't seen before, and has room for the others", async () => {
    let answerAll: () => void = () => {};
    const all = new Promise<void>((resolve) => {
      answerAll = resolve;
    });
    const { upstream } = upstreamOf(() => all.then(() => ({ code: VerificationCode.VALID, key: { id: "k" } })));
    const strangers = Array.from({ length: strangersMax }, () => upstream.verify(request, undefined));
    await expect(upstream.verify(request, undefined).catch(reasonOf)).resolves.toBe("UPSTREAM_UNAVAILABLE");
    const known = Array.from({ length: questionsMax - strangersMax }, () => upstream.verify(request, keyId()));
    await expect(upstream.verify(request, keyId()).catch(reasonOf)).resolves.toBe("UPSTREAM_UNAVAILABLE");
    answerAll();
    await Promise.all([...strangers, ...known]);
    await upstream.verify(request, undefined);
  });

  it("is asked so often about one key at a time, and has room for the others", async () => {
    let answerAll: () => void = () => {};
    const all = new Promise<void>((resolve) => {
      answerAll = resolve;
    });
    const { upstream } = upstreamOf(() => all.then(() => ({ code: VerificationCode.VALID, key: { id: "k" } })));
    const one = keyId();
    const asked = Array.from({ length: callsPerKeyMax }, () => upstream.verify(request, one));
    await expect(upstream.verify(request, one).catch(reasonOf)).resolves.toBe("UPSTREAM_UNAVAILABLE");
    const others = [upstream.verify(request, keyId()), upstream.verify(request, undefined)];
    answerAll();
    await Promise.all([...asked, ...others]);
    await upstream.verify(request, one);
  });

  it("is asked only so often about credentials that are none, and as often as need be about those that are", async () => {
    const { upstream, clock, asked } = upstreamOf(() => ({ code: VerificationCode.NOT_FOUND }));
    for (let i = 0; i < strangersLimit.burst; i++) await upstream.verify(request, undefined);
    await expect(upstream.verify(request, undefined).catch(reasonOf)).resolves.toBe("UPSTREAM_UNAVAILABLE");
    expect(asked()).toBe(strangersLimit.burst);
    await upstream.verify(request, keyId());
    clock.ms += strangersLimit.periodMs;
    for (let i = 0; i < strangersLimit.limit; i++) await upstream.verify(request, undefined);
    await expect(upstream.verify(request, undefined).catch(reasonOf)).resolves.toBe("UPSTREAM_UNAVAILABLE");
  });

  it("never makes its refusal of the side-car's own key one of the caller, and is told to fail once", async () => {
    let failure: ConnectError | undefined = new ConnectError("refused", Code.Unauthenticated);
    const { upstream, turns } = upstreamOf(() => {
      if (failure) throw failure;
      return { code: VerificationCode.NOT_FOUND };
    });
    for (let i = 0; i < 3; i++)
      await expect(upstream.verify(request, keyId()).catch(reasonOf)).resolves.toBe("UPSTREAM_UNAVAILABLE");
    failure = undefined;
    await upstream.verify(request, keyId());
    expect(turns).toEqual([{ code: "Unauthenticated", message: "refused" }, undefined]);
  });
});
