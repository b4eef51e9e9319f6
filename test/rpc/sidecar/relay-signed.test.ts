import { clone, create } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ResyncReason, type WatchKeySetResponse, WatchKeySetResponseSchema } from "../../../gen/ichor/v1/key_set_pb.ts";
import { feedKeyId } from "../../../services/core/key-set/feed-key.ts";
import { startTestRelay, type TestRelay } from "../../support/relay.ts";
import { type Tamper, tampering } from "../../support/tampering.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey } from "../../support/tokens.ts";
import { startTestVerifier, type TestVerifier } from "../../support/verifier.ts";
import { watch } from "../../support/watch.ts";

const issuer = "https://ichor.example";

let t: TestApp;
let pin: string;
let relay: TestRelay;
let made: TestVerifier[] = [];
beforeAll(async () => {
  t = await startTestApp();
  const stream = watch(t);
  pin = feedKeyId((await stream.until("feedKeys")).keys[0]?.publicKey ?? new Uint8Array());
  stream.close();
});
afterAll(() => t.close());
beforeEach(async () => {
  relay = await startTestRelay(t);
});
afterEach(async () => {
  for (const { verifier } of made) await verifier.close();
  made = [];
  await relay.close();
});

/** A verifier that believes the server's feed key alone, behind a relay that does to events what `between` is told. */
async function startBehind() {
  const between = tampering(relay.transport);
  const one = await startTestVerifier(t, { transport: between.transport, feedKeys: [pin], issuer });
  made.push(one);
  return { ...one, between };
}

async function keyWithToken() {
  const key = await issueKey(t);
  return { ...key, ...(await derive(t, key.credential)) };
}

const isOf = ({ event }: WatchKeySetResponse, kind: string) => event.case === kind;

/** Leaves revocations out, and makes what comes after them fit. */
function dropping(): Tamper {
  let before: bigint | undefined;
  return (response) => {
    const { event } = response;
    if (event.case === "delta" && event.value.feed === "public") {
      before ??= event.value.prevRevision;
      return [];
    }
    if (event.case === "heartbeat" && event.value.feed === "public" && before !== undefined) {
      event.value.prevRevision = before;
    }
    return [response];
  };
}

/** Makes everyone begin anew, with a snapshot without any revocation. */
const forging: Tamper = (response) => {
  const { event } = response;
  if (event.case === "delta") {
    const value = { feed: "", reason: ResyncReason.TOO_SLOW, snapshotFollows: false };
    return [create(WatchKeySetResponseSchema, { event: { case: "resyncRequired", value } })];
  }
  if (event.case !== "snapshotItems" || event.value.items === undefined) return [response];
  event.value.items.markedKeys = new Uint8Array();
  event.value.items.marks = [];
  return [response];
};

/** Says again and again what was said first, in place of what there is. */
function repeating(): Tamper {
  let first: WatchKeySetResponse | undefined;
  return (response) => {
    if (!isOf(response, "heartbeat") && !isOf(response, "delta")) return [response];
    if (isOf(response, "heartbeat")) first ??= clone(WatchKeySetResponseSchema, response);
    return first === undefined ? [] : [clone(WatchKeySetResponseSchema, first)];
  };
}

describe("who believes the server's feed key, behind a relay", () => {
  it("gets by what the relay repeats just what the server signed", async () => {
    const { keyId, token } = await keyWithToken();
    const { revision } = await t.admin().revokeApiKey({ keyId });
    await expect.poll(() => relay.hub.position?.revision, { interval: 1 }).toBeGreaterThanOrEqual(revision);
    const { verifier, applied } = await startBehind();
    await applied(revision);
    expect((await verifier.verify(token)).code).toBe("REVOKED");
    expect(verifier.status().feedKeyId).toBe(pin);
  });

  it.each<[string, () => Tamper, string]>([
    ["leaves a revocation out", dropping, "refused"],
    ["tells a snapshot that it made itself", () => forging, "refused"],
    ["repeats what was", repeating, "resync"],
    ["tells nothing", () => () => [], "disconnected"],
  ])("takes nothing of one that %s, and all that it missed once that is over", async (_, tamper, kind) => {
    const { keyId, token } = await keyWithToken();
    const { verifier, between, clock, events, applied } = await startBehind();
    expect((await verifier.verify(token)).code).toBe("VALID");
    between.tamper = tamper();
    const { revision } = await t.admin().revokeApiKey({ keyId, wait: { seconds: 0n, nanos: 1_000_000 } });
    await expect.poll(() => relay.hub.position?.revision, { interval: 1 }).toBeGreaterThanOrEqual(revision);
    // Time goes on for the verifier: it hears nothing, comes back, and is told the same again.
    for (let ms = 0; ms < 20_000; ms += 500) {
      clock.advance(500);
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    expect(verifier.status().revision).toBeLessThan(revision);
    expect(events.map((event) => event.kind)).toContain(kind);
    between.tamper = (event) => [event];
    const goOn = setInterval(() => clock.advance(500), 5);
    await applied(revision).finally(() => clearInterval(goOn));
    expect(verifier.status().markedKeys).toBeGreaterThan(0);
  });
});
