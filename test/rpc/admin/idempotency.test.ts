import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { answerLifetimeMs, recordLifetimeMs } from "../../../services/core/repeat-lifetimes.ts";
import { reasonOfRejection } from "../../support/documented.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

let count = 0;
const freshId = () => `request-${++count}`;

describe("a repeat under the same request_id", () => {
  it("gets the same answer, credential and revision included, and makes no second key", async () => {
    const request = { name: "once", labels: { a: "1", b: "2" }, requestId: freshId() };
    const first = await t.admin().issueApiKey(request);
    const before = (await t.app.store.head()).revision;
    const second = await t.admin().issueApiKey({ ...request, labels: { b: "2", a: "1" } });
    expect(second).toEqual(first);
    expect((await t.app.store.head()).revision).toBe(before);
  });

  it("makes one key though many repeats come at once", async () => {
    const request = { name: "at-once", requestId: freshId() };
    const answers = await Promise.all(Array.from({ length: 10 }, () => t.admin().issueApiKey(request)));
    expect(new Set(answers.map(({ credential }) => credential)).size).toBe(1);
  });

  it.each([
    ["as told by the clock", async () => {}],
    [
      "when what is due was deleted",
      async () => {
        while ((await t.app.store.tendIdempotencyRecords(t.clock.now(), 10)) > 0);
      },
    ],
  ])("no longer gets the credential after an hour, and is a new call after a day: %s", async (_how, tend) => {
    const request = { name: "later", requestId: freshId() };
    const first = await t.admin().issueApiKey(request);
    t.clock.advance(answerLifetimeMs - 1);
    await tend();
    expect(await t.admin().issueApiKey(request)).toEqual(first);
    t.clock.advance(1);
    await tend();
    const later = await t.admin().issueApiKey(request);
    expect(later.credential).toBe("");
    expect(later.apiKey?.id).toBe(first.apiKey?.id);
    expect(later.revision).toBe(first.revision);
    t.clock.advance(recordLifetimeMs - answerLifetimeMs);
    await tend();
    const another = await t.admin().issueApiKey(request);
    expect(another.apiKey?.id).not.toBe(first.apiKey?.id);
  });

  it("no longer gets a credential that a rotation or revocation has ended", async () => {
    for (const end of ["rotateApiKey", "revokeApiKey"] as const) {
      const request = { name: "ended", requestId: freshId() };
      const { apiKey } = await t.admin().issueApiKey(request);
      await t.admin()[end]({ keyId: apiKey?.id ?? "" });
      const again = await t.admin().issueApiKey(request);
      expect(again.credential).toBe("");
      expect(again.apiKey?.id).toBe(apiKey?.id);
    }
  });

  it("is told of a deleted key without bringing it back", async () => {
    const request = { name: "gone", requestId: freshId() };
    const { apiKey } = await t.admin().issueApiKey(request);
    const keyId = apiKey?.id ?? "";
    await t.admin().revokeApiKey({ keyId });
    const deletion = { keyId, requestId: freshId() };
    const first = await t.admin().deleteApiKey(deletion);
    expect(await t.admin().deleteApiKey(deletion)).toEqual(first);
    const again = await t.admin().issueApiKey(request);
    expect(again.apiKey).toBeUndefined();
    expect(again.credential).toBe("");
  });

  it("is authorised again: who lost the scope, or doesn't cover the key's, gets nothing", async () => {
    const issuer = await t.admin().issueApiKey({ name: "issuer", scopes: ["ichor:keys:write"] });
    const request = { name: "child", requestId: freshId() };
    const child = await t.admin(issuer.credential).issueApiKey(request);
    expect(child.credential).not.toBe("");
    await t.admin().disableApiKey({ keyId: issuer.apiKey?.id ?? "" });
    expect(await reasonOfRejection(t.admin(issuer.credential).issueApiKey(request))).toBe("CREDENTIAL_REFUSED");
  });

  it("belongs to its caller and method: another caller's is another call", async () => {
    const requestId = freshId();
    const [one, two] = [await writer(), await writer()];
    const first = await one.issueApiKey({ name: "mine", requestId });
    const second = await two.issueApiKey({ name: "yours", requestId });
    expect(second.apiKey?.id).not.toBe(first.apiKey?.id);
    const { apiKey } = await one.disableApiKey({ keyId: first.apiKey?.id ?? "", requestId });
    expect(apiKey?.id).toBe(first.apiKey?.id);
  });
});

async function writer() {
  const { credential } = await t.admin().issueApiKey({ name: "writer", scopes: ["ichor:keys:write"] });
  return t.admin(credential);
}
