import { chmodSync, existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { TokenFormat } from "../../../gen/ichor/v1/api_key_pb.ts";
import { attenuate } from "../../../services/verifier/attenuate.ts";
import { createVerifier } from "../../../services/verifier/create-verifier.ts";
import { VerifierUnavailableError } from "../../../services/verifier/unavailable-error.ts";
import { turn } from "../../fakes/read-by-hand.ts";
import { temporaryFolder } from "../../support/server-process.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey, testAudience } from "../../support/tokens.ts";
import { makeTestVerifier, startTestVerifier, type TestVerifier } from "../../support/verifier.ts";

let t: TestApp;
const made: TestVerifier[] = [];
beforeAll(async () => {
  t = await startTestApp();
});
afterEach(async () => {
  for (const { verifier } of made.splice(0)) await verifier.close();
});
afterAll(() => t.close());

const start = async (...args: Parameters<typeof startTestVerifier> extends [TestApp, ...infer R] ? R : never) => {
  const one = await startTestVerifier(t, ...args);
  made.push(one);
  return one;
};

const formats = [
  ["JWT", TokenFormat.JWT],
  ["MACAROON", TokenFormat.MACAROON],
] as const;

async function keyWithToken(format: TokenFormat = TokenFormat.JWT) {
  const key = await issueKey(t, { scopes: ["invoices:*"], ownerId: "acme" });
  const { token, tokenId } = await derive(t, key.credential, { format, scopes: ["invoices:read"] });
  return { ...key, token, tokenId };
}

describe.each(formats)("a verifier, given a %s", (kind, format) => {
  it("says whose it is and what it allows, without asking anyone", async () => {
    const { verifier, disconnect } = await start();
    const { keyId, token, tokenId } = await keyWithToken(format);
    disconnect();
    expect(await verifier.verify(token, { scopes: ["invoices:read"] })).toMatchObject({
      valid: true,
      code: "VALID",
      kind,
      keyId,
      tokenId,
      ownerId: "acme",
      scopes: ["invoices:read"],
    });
    expect((await verifier.verify(token, { scopes: ["invoices:write"] })).code).toBe("INSUFFICIENT_SCOPE");
  });

  it.each([
    ["its key is revoked", "REVOKED", ({ keyId }: Token) => t.admin().revokeApiKey({ keyId })],
    ["its key is disabled", "DISABLED", ({ keyId }: Token) => t.admin().disableApiKey({ keyId })],
    [
      "it is revoked by itself",
      "REVOKED",
      ({ keyId, tokenId }: Token) => t.admin().revokeToken({ target: { case: "tokenRef", value: { keyId, tokenId } } }),
    ],
    [
      "all of its key's tokens are revoked",
      "REVOKED",
      ({ keyId }: Token) => t.admin().revokeToken({ target: { case: "keyId", value: keyId } }),
    ],
  ])("refuses it once %s, though it was seen before", async (_, code, end) => {
    const { verifier, applied } = await start();
    const one = await keyWithToken(format);
    const other = await keyWithToken(format);
    expect((await verifier.verify(one.token)).valid).toBe(true);
    const { revision } = await end(one);
    await applied(revision);
    expect((await verifier.verify(one.token)).code).toBe(code);
    expect((await verifier.verify(other.token)).valid).toBe(true);
  });

  it("refuses another audience's, an altered one, and one that has ended", async () => {
    const { verifier, clock } = await start({ maxStaleness: 86_400 });
    const { credential, token } = await keyWithToken(format);
    const elsewhere = await derive(t, credential, { format, audiences: ["https://other.example"] });
    // The root key of another audience isn't even known here.
    const refusal = kind === "JWT" ? "AUDIENCE_MISMATCH" : "SIGNATURE_INVALID";
    expect((await verifier.verify(elsewhere.token)).code).toBe(refusal);
    const at = Math.floor(token.length / 2);
    const altered = `${token.slice(0, at)}${token[at] === "A" ? "B" : "A"}${token.slice(at + 1)}`;
    expect((await verifier.verify(altered)).valid).toBe(false);
    clock.advance(16 * 60_000);
    expect((await verifier.verify(token)).code).toBe("EXPIRED");
  });
});

type Token = Awaited<ReturnType<typeof keyWithToken>>;

describe("a verifier", () => {
  it("calls MALFORMED what is no derived token, a key among it", async () => {
    const { verifier } = await start();
    const { credential } = await issueKey(t);
    for (const text of ["", "nonsense", credential, "a.b.c", "x".repeat(9000)]) {
      expect(await verifier.verify(text)).toMatchObject({ valid: false, code: "MALFORMED" });
    }
  });

  it("learns that its tenant is disabled before it is cut off itself", async () => {
    await t.admin().createTenant({ slug: "closing", name: "Closing" });
    const watcher = { scopes: ["ichor:keyset:watch", `ichor:verify:aud:${testAudience}`] };
    const { credential } = await issueKey(t, watcher, "closing");
    const { verifier, applied, events } = await start({ credential });
    const { token } = await derive(t, (await issueKey(t, {}, "closing")).credential);
    expect((await verifier.verify(token)).code).toBe("VALID");
    const { revision } = await t.admin().disableTenant({ tenant: "closing" });
    await applied(revision);
    expect((await verifier.verify(token)).code).toBe("DISABLED");
    await expect.poll(() => events.map(({ kind }) => kind)).toContain("disconnected");
  });

  it("refuses tokens of a signing key that is compromised, at once", async () => {
    const { verifier, applied } = await start();
    const { token } = await keyWithToken();
    expect((await verifier.verify(token)).valid).toBe(true);
    const { signingKeys } = await t.admin().listSigningKeys({});
    const active = signingKeys.find(({ state }) => state === 2);
    const { revision } = await t.admin().revokeSigningKey({ signingKeyId: active?.id ?? "" });
    await applied(revision);
    expect((await verifier.verify(token)).code).toBe("SIGNATURE_INVALID");
    expect((await verifier.verify((await keyWithToken()).token)).valid).toBe(true);
  });

  it("follows the rotation of its audience's root key", async () => {
    const { verifier } = await start();
    const before = await keyWithToken(TokenFormat.MACAROON);
    await t.admin().rotateAudienceKey({ audience: testAudience, revokePrevious: true });
    const after = await keyWithToken(TokenFormat.MACAROON);
    await expect.poll(async () => (await verifier.verify(after.token)).valid).toBe(true);
    expect((await verifier.verify(before.token)).code).toBe("SIGNATURE_INVALID");
  });

  it("takes what a holder narrowed by itself", async () => {
    const { verifier } = await start();
    const { token } = await keyWithToken(TokenFormat.MACAROON);
    const narrower = attenuate(token, { contextEquals: { region: "eu" } });
    expect((await verifier.verify(narrower)).code).toBe("CONSTRAINT_NOT_MET");
    expect((await verifier.verify(narrower, { context: { region: "eu" } })).valid).toBe(true);
    expect((await verifier.verify(attenuate(token, ["scope = nothing"]), { scopes: ["invoices:read"] })).code).toBe(
      "INSUFFICIENT_SCOPE",
    );
    expect(() => attenuate(token, ["user = 7"])).toThrow(TypeError);
    expect(() => attenuate("nonsense", {})).toThrow(TypeError);
  });

  it("throws for demands and options that make no sense", async () => {
    const { verifier } = await start();
    await expect(verifier.verify("x", { scopes: ["a:*"] })).rejects.toThrow(TypeError);
    const good = { url: "http://127.0.0.1:1", audience: "a", credential: "c" };
    for (const bad of [
      { url: undefined },
      { audience: "" },
      { credential: "" },
      { maxStaleness: 0 },
      { maxStaleness: Number.NaN },
      { leeway: 61 },
      { onStale: "maybe" },
      { cachedTokensMax: -1 },
    ]) {
      expect(() => createVerifier({ ...good, ...bad } as never)).toThrow(TypeError);
    }
  });

  it("asks once for a key that it doesn't know, however many tokens name it", async () => {
    const { verifier, calls } = await start();
    const { token } = await keyWithToken();
    const [, claims, signature] = token.split(".");
    const header = Buffer.from(JSON.stringify({ alg: "EdDSA", kid: "x".repeat(43), typ: "at+jwt" }));
    const unknown = `${header.toString("base64url")}.${claims}.${signature}`;
    const codes = await Promise.all(Array.from({ length: 20 }, async () => (await verifier.verify(unknown)).code));
    expect(new Set(codes)).toEqual(new Set(["SIGNATURE_INVALID"]));
    await verifier.verify(unknown);
    expect(calls.filter((name) => name === "GetKeySet")).toHaveLength(1);
  });
});

describe("a verifier that knows too little", () => {
  it("refuses to answer before it has a key set", async () => {
    const one = await makeTestVerifier(t);
    made.push(one);
    one.disconnect();
    await expect(one.verifier.verify("x")).rejects.toMatchObject({ reason: "NOT_READY" });
  });

  it("goes on until maxStaleness, tells its age, refuses to answer after it, and is back without a gap", async () => {
    const { verifier, clock, disconnect, connect, applied } = await start({ maxStaleness: 30 });
    const { token, keyId } = await keyWithToken();
    disconnect();
    await turn();
    clock.advance(29_000);
    const known = await verifier.verify(token);
    expect(known.valid).toBe(true);
    expect(known.age).toBeGreaterThanOrEqual(29);
    const { revision } = await t.admin().revokeApiKey({ keyId });
    clock.advance(3_000);
    const stale = verifier.verify(token);
    await expect(stale).rejects.toBeInstanceOf(VerifierUnavailableError);
    await expect(stale).rejects.toMatchObject({ reason: "STALE" });
    t.clock.advance(47_000);
    connect();
    await turn();
    clock.advance(15_000);
    await applied(revision);
    await verifier.ready();
    expect((await verifier.verify(token)).code).toBe("REVOKED");
    expect(verifier.status()).toMatchObject({ ready: true, connected: true, revision });
  });

  it("goes on all the same if its owner chose so", async () => {
    const { verifier, clock, disconnect } = await start({ onStale: "allow" });
    const { token } = await keyWithToken();
    disconnect();
    clock.advance(5 * 60_000);
    expect(await verifier.verify(token)).toMatchObject({ valid: true });
    expect(verifier.status().stale).toBe(true);
  });

  it("asks the server if its owner chose so, and can't tell if that gives no answer", async () => {
    const { verifier, clock, disconnect } = await start({ onStale: "online" });
    const { token, keyId } = await keyWithToken();
    clock.jump(60_000);
    expect(await verifier.verify(token)).toMatchObject({ valid: true, keyId });
    disconnect();
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: "OFFLINE" });
  });

  it.each([3_600_000, -3_600_000])("is stale after its clock jumps by %d ms", async (spanMs) => {
    const { verifier, clock } = await start();
    clock.jump(spanMs);
    await expect(verifier.verify("x")).rejects.toMatchObject({ reason: "STALE" });
  });

  it("trusts nothing of before it was suspended for a minute, and goes on at the next heartbeat", async () => {
    const { verifier, clock } = await start();
    const { token } = await keyWithToken();
    t.clock.advance(60_000);
    clock.suspend(60_000);
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: "STALE" });
    await verifier.ready();
    expect(await verifier.verify(token)).toMatchObject({ valid: true });
  });

  it("isn't kept fresh by the heartbeats of a server that is cut off from its store", async () => {
    const { verifier, clock, events } = await start();
    const { token } = await keyWithToken();
    const store: { head: unknown } = t.app.store;
    store.head = () => Promise.reject(new Error("cut off"));
    t.clock.advance(60_000);
    clock.suspend(60_000);
    const heard = () => events.filter(({ kind }) => kind === "applied").length;
    const before = heard();
    // Both feeds, twice: the second time certainly of after the cut.
    await expect.poll(heard, { timeout: 10_000 }).toBeGreaterThanOrEqual(before + 4);
    await expect(verifier.verify(token)).rejects.toMatchObject({ reason: "STALE" });
    expect(verifier.status()).toMatchObject({ connected: true, stale: true });
    Reflect.deleteProperty(store, "head");
    await verifier.ready();
    expect((await verifier.verify(token)).valid).toBe(true);
  });

  it("takes silence for a dead connection, and waits a random time of at most 15 s before the next", async () => {
    const { clock, events } = await start();
    clock.advance(6_000);
    await expect.poll(() => events.some(({ kind }) => kind === "disconnected")).toBe(true);
    for (const event of events) if (event.kind === "disconnected") expect(event.retryInMs).toBeLessThanOrEqual(15_000);
  });
});

describe("the snapshot file of a verifier", () => {
  const folder = temporaryFolder("snapshot");
  afterAll(() => folder.remove());
  const credentialOf = async () =>
    (await issueKey(t, { scopes: ["ichor:keyset:watch", `ichor:verify:aud:${testAudience}`] })).credential;

  it("lets the next one begin with what was known, at the age that it has by then", async () => {
    const snapshotFile = join(folder.path, "a");
    const credential = await credentialOf();
    const first = await startTestVerifier(t, { snapshotFile, credential });
    const { token, keyId } = await keyWithToken();
    const revoked = await keyWithToken();
    const { revision } = await t.admin().revokeApiKey({ keyId: revoked.keyId });
    await first.applied(revision);
    await first.verifier.close();
    expect(statSync(snapshotFile).mode & 0o777).toBe(0o600);
    expect(readFileSync(snapshotFile, "latin1")).not.toContain("kty");
    const second = await makeTestVerifier(t, { snapshotFile, credential });
    made.push(second);
    second.disconnect();
    expect(await second.verifier.verify(token)).toMatchObject({ valid: true, keyId });
    expect((await second.verifier.verify(revoked.token)).code).toBe("REVOKED");
    second.clock.advance(31_000);
    await expect(second.verifier.verify(token)).rejects.toMatchObject({ reason: "STALE" });
  });

  it("is ignored if it is damaged, of another credential, or open to others; never a crash", async () => {
    const snapshotFile = join(folder.path, "b");
    const credential = await credentialOf();
    const first = await startTestVerifier(t, { snapshotFile, credential });
    await first.verifier.close();
    const good = readFileSync(snapshotFile);
    const usable = async (own = credential) => {
      const one = await makeTestVerifier(t, { snapshotFile: snapshotFile, credential: own });
      one.disconnect();
      const { ready } = one.verifier.status();
      const ignored = one.events.some(({ kind }) => kind === "snapshot_file_ignored");
      await one.verifier.close();
      writeFileSync(snapshotFile, good, { mode: 0o600 });
      return { ready, ignored };
    };
    expect(await usable()).toEqual({ ready: true, ignored: false });
    expect(await usable(await credentialOf())).toEqual({ ready: false, ignored: true });
    for (const at of [0, 20, 40, good.length - 1]) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 1;
      writeFileSync(snapshotFile, bad);
      expect(await usable()).toEqual({ ready: false, ignored: true });
    }
    writeFileSync(snapshotFile, good.subarray(0, 10));
    expect(await usable()).toEqual({ ready: false, ignored: true });
    chmodSync(snapshotFile, 0o644);
    expect(await usable()).toEqual({ ready: false, ignored: true });
    expect(existsSync(snapshotFile)).toBe(true);
  });
});
