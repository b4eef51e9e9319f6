import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  VerificationCode as Code,
  type VerifyCredentialRequestSchema,
  type VerifyCredentialResponse,
} from "../../../gen/ichor/v1/verification_pb.ts";
import { nameOf } from "../../../services/wire/enums.ts";
import { documented, reasonOfRejection } from "../../support/documented.ts";
import { startTestRelay } from "../../support/relay.ts";
import { startTestSidecar, type TestSidecar } from "../../support/sidecar.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey, testAudience } from "../../support/tokens.ts";

let t: TestApp;
let s: TestSidecar;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());
beforeEach(async () => {
  s = await startTestSidecar(t);
});
afterEach(() => s.close());

type Asked = Omit<MessageInitShape<typeof VerifyCredentialRequestSchema>, "$typeName">;

const ask = async (requests: readonly Asked[]) =>
  (await s.keys.batchVerifyCredentials({ requests: [...requests] })).responses;
const codes = (answers: readonly VerifyCredentialResponse[]) => answers.map(({ code }) => nameOf(Code, code));
/** How often the server was asked, by either method. */
const asked = () => ({ one: s.asked(), many: s.askedTogether() });

describe("a batch, given to a side-car,", () => {
  it("is answered in its order as the server does, with one call for all that isn't known", async () => {
    const audience = testAudience;
    const one = await issueKey(t, { scopes: ["a"], ownerId: "one" });
    const two = await issueKey(t, { scopes: ["b"], ownerId: "two" });
    const gone = await issueKey(t);
    const { revision } = await t.admin().revokeApiKey({ keyId: gone.keyId });
    await expect.poll(() => s.sidecar.verifier.status().revision >= revision).toBe(true);
    const { token } = await derive(t, one.credential);
    const requests = [
      { credential: two.credential, requiredScopes: ["b"] },
      { credential: "nonsense" },
      { credential: token, audience },
      { credential: one.credential, requiredScopes: ["b"] },
      { credential: gone.credential },
      { credential: two.credential, requiredScopes: ["b"] },
      { credential: token, audience: "https://another.example" },
    ];
    const told = await ask(requests);
    const { responses } = await t.admin().batchVerifyCredentials({ requests });
    expect(codes(told)).toEqual(codes(responses));
    expect(told.map(({ key }) => key?.ownerId)).toEqual(responses.map(({ key }) => key?.ownerId));
    expect(asked()).toEqual({ one: 0, many: 1 });
    expect(codes(await ask(requests.slice(0, 6)))).toEqual(codes(responses.slice(0, 6)));
    expect(asked()).toEqual({ one: 0, many: 1 });
  });

  it("whose server is a relay, is answered through that, with one call of each", async () => {
    const relay = await startTestRelay(t);
    const leaf = await startTestSidecar(t, { transport: relay.transport });
    const [one, two] = [await issueKey(t), await issueKey(t)];
    const { responses } = await leaf.keys.batchVerifyCredentials({ requests: [one, two, { credential: "nonsense" }] });
    expect(codes(responses)).toEqual(["VALID", "VALID", "NOT_FOUND"]);
    expect(relay.askedTogether()).toBe(1);
    await leaf.close();
    await relay.close();
  });

  it("of which one isn't known asks about that one", async () => {
    const [one, two] = [await issueKey(t), await issueKey(t)];
    await ask([one]);
    expect(codes(await ask([one, two, one]))).toEqual(["VALID", "VALID", "VALID"]);
    expect(asked()).toEqual({ one: 2, many: 0 });
  });

  it("counts each use of a key with rate limits", async () => {
    const rateLimits = [{ name: "l", limit: 3n, period: { seconds: 3600n, nanos: 0 } }];
    const limited = await issueKey(t, { rateLimits });
    const taken = codes(await ask([limited, limited, limited, limited, limited]));
    expect(taken.sort()).toEqual(["RATE_LIMITED", "RATE_LIMITED", "VALID", "VALID", "VALID"]);
  });

  it("is refused as the server does, naming the item, and nothing of it is asked", async () => {
    for (const requests of [[], Array.from({ length: 101 }, () => ({ credential: "x" }))])
      expect(await reasonOfRejection(ask(requests))).toBe("INVALID_FIELD");
    const bad = [{ credential: "x" }, { credential: "y", clientIp: "nowhere" }];
    await expect(ask(bad)).rejects.toThrow("requests[1].client_ip");
    expect(asked()).toEqual({ one: 0, many: 0 });
  });

  documented("BatchVerifyCredentials", "UPSTREAM_UNAVAILABLE", async () => {
    const known = await issueKey(t);
    await ask([known]);
    s.disconnect();
    expect(codes(await ask([known, known]))).toEqual(["VALID", "VALID"]);
    await ask([known, { credential: "not known" }]);
  });

  it("of made-up credentials, again and again, isn't asked about without end", async () => {
    const flood = (i: number) => Array.from({ length: 100 }, (_, j) => ({ credential: `made-up-${i}-${j}` }));
    const ended = await Promise.allSettled(Array.from({ length: 20 }, (_, i) => ask(flood(i))));
    const refused = ended.filter(({ status }) => status === "rejected");
    // 1 000 at once; who is there already is answered all the same.
    expect(refused.length).toBe(10);
    const { credential } = await issueKey(t);
    expect(asked().many).toBe(10);
    expect(codes(await ask(flood(0)))).toEqual(Array.from({ length: 100 }, () => "NOT_FOUND"));
    expect(await reasonOfRejection(ask([{ credential }]))).toBe("UPSTREAM_UNAVAILABLE");
  });
});
