import { afterAll, beforeAll, describe } from "vitest";
import { TokenFormat, Visibility } from "../../../gen/ichor/v1/api_key_pb.ts";
import { DerivationService } from "../../../gen/ichor/v1/derivation_service_pb.ts";
import { documented } from "../../support/documented.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";
import { derive, issueKey, testAudience } from "../../support/tokens.ts";

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

describe("DeriveToken", () => {
  documented("DeriveToken", "CREDENTIAL_REFUSED", () => derive(t, "ichor_sk_nonsense"));
  documented("DeriveToken", "INVALID_FIELD", async () => derive(t, (await issueKey(t)).credential, { audiences: [] }));
  documented("DeriveToken", "DERIVATION_NOT_ALLOWED", async () => {
    const { credential } = await issueKey(t, { visibility: Visibility.PUBLIC });
    return derive(t, credential);
  });
  documented("DeriveToken", "PARENT_REFUSED", async () => {
    const { keyId, credential } = await issueKey(t);
    await t.admin().disableApiKey({ keyId });
    return derive(t, t.rootCredential, { credential });
  });
  documented("DeriveToken", "CREDENTIAL_KIND_NOT_ALLOWED", async () => {
    const { token } = await derive(t, (await issueKey(t)).credential);
    return derive(t, token);
  });
  documented("DeriveToken", "SCOPE_MISSING", async () => {
    const [one, other] = [await issueKey(t), await issueKey(t)];
    return derive(t, one.credential, { credential: other.credential });
  });
});

describe("VerifyToken", () => {
  const verifier = () => t.client(DerivationService);
  documented("VerifyToken", "INVALID_FIELD", async () => {
    const { token } = await derive(t, (await issueKey(t)).credential, { format: TokenFormat.MACAROON });
    return verifier().verifyToken({ credential: token });
  });
  documented("VerifyToken", "REVISION_NOT_REACHED", () =>
    verifier().verifyToken(
      { credential: "x", audience: testAudience, minRevision: 1_000_000n },
      { headers: { authorization: `Bearer ${t.rootCredential}` }, timeoutMs: 1000 },
    ),
  );
});

describe("GetKeySet", () => {
  documented("GetKeySet", "INVALID_FIELD", () => t.client(DerivationService).getKeySet({ audiences: ["a b"] }));
  documented("GetKeySet", "SCOPE_MISSING", async () => {
    const { credential } = await issueKey(t, { scopes: ["ichor:keyset:watch", "ichor:verify:aud:other"] });
    return t.client(DerivationService, credential).getKeySet({ audiences: [testAudience] });
  });
});
