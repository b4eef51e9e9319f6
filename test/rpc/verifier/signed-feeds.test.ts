import { createRouterTransport } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { WatchKeySetResponse } from "../../../gen/ichor/v1/key_set_pb.ts";
import { feedKeyId } from "../../../services/core/key-set/feed-key.ts";
import { honestly, type Tamper, tampering } from "../../support/tampering.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey } from "../../support/tokens.ts";
import { makeTestVerifier, type TestVerifier } from "../../support/verifier.ts";
import { watch } from "../../support/watch.ts";

const issuer = "https://ichor.example";

let t: TestApp;
let pin: string;
const made: TestVerifier[] = [];
beforeAll(async () => {
  t = await startTestApp();
  pin = await feedKeyOf(t);
});
afterEach(async () => {
  for (const { verifier } of made.splice(0)) await verifier.close();
});
afterAll(() => t.close());

async function feedKeyOf(server: TestApp): Promise<string> {
  const stream = watch(server);
  const { keys } = await stream.until("feedKeys");
  stream.close();
  return feedKeyId(keys.at(-1)?.publicKey ?? new Uint8Array());
}

/** A verifier that believes the server's feed key alone, behind somebody who may change what it is told. */
async function startBehind() {
  const between = tampering(createRouterTransport(t.app.routes));
  const one = await makeTestVerifier(t, { transport: between.transport, feedKeys: [pin], issuer });
  made.push(one);
  await one.verifier.ready();
  return { ...one, between };
}

async function keyWithToken() {
  const key = await issueKey(t, { scopes: ["invoices:*"] });
  return { ...key, ...(await derive(t, key.credential)) };
}

/** Resolves with what the next refusal says. */
async function refusal({ events }: TestVerifier): Promise<string> {
  for (;;) {
    const refused = events.find((event) => event.kind === "refused");
    if (refused !== undefined) return (refused.error as Error).message;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Lets time go by for a verifier until it has come so far. */
async function comesBack({ verifier, clock }: TestVerifier, revision: bigint): Promise<void> {
  while (verifier.status().revision < revision) {
    clock.advance(500);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

describe("a verifier that is told a feed key", () => {
  it("follows whoever hands on what that key signed, and says by which one", async () => {
    const { verifier, applied } = await startBehind();
    const { keyId, token } = await keyWithToken();
    expect((await verifier.verify(token)).code).toBe("VALID");
    const { revision } = await t.admin().revokeApiKey({ keyId });
    await applied(revision);
    expect((await verifier.verify(token)).code).toBe("REVOKED");
    expect(verifier.status()).toMatchObject({ feedKeyId: pin, connected: true });
  });

  const onDelta =
    (change: (event: WatchKeySetResponse) => void): Tamper =>
    (event) => {
      if (event.event.case === "delta") change(event);
      return [event];
    };
  it.each<[string, Tamper, string]>([
    [
      "without its signature",
      onDelta((event) => Object.assign(event, { signature: new Uint8Array(), feedKeyId: "" })),
      "signed by nobody",
    ],
    ["with the bytes of its signature in another order", onDelta(({ signature }) => signature.reverse()), "is wrong"],
    ["without its items", onDelta(({ event }) => event.case === "delta" && delete event.value.items), "is wrong"],
    [
      "as newer than it is",
      onDelta(({ event }) => event.case === "delta" && event.value.asOf && void event.value.asOf.seconds++),
      "is wrong",
    ],
    [
      "as of a later revision",
      onDelta(({ event }) => event.case === "delta" && void event.value.revision++),
      "is wrong",
    ],
  ])("applies no delta that is told %s", async (_name, tamper, why) => {
    const one = await startBehind();
    const { keyId, token } = await keyWithToken();
    one.between.tamper = tamper;
    const before = one.verifier.status().revision;
    const { revision } = await t.admin().revokeApiKey({ keyId });
    expect(await refusal(one)).toContain(why);
    expect(one.verifier.status()).toMatchObject({ revision: before, connected: false });
    // Knowledge just gets older, until it is too old to answer by.
    expect((await one.verifier.verify(token)).code).toBe("VALID");
    one.clock.advance(31_000);
    await expect(one.verifier.verify(token)).rejects.toMatchObject({ reason: "STALE" });
    one.between.tamper = honestly;
    await comesBack(one, revision);
  });
});
