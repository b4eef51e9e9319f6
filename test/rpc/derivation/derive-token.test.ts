import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { TokenFormat } from "../../../gen/ichor/v1/api_key_pb.ts";
import { DerivationService } from "../../../gen/ichor/v1/derivation_service_pb.ts";
import { VerificationCode } from "../../../gen/ichor/v1/verification_pb.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

const audience = "https://api.example";

describe("DeriveToken", () => {
  it.each([TokenFormat.JWT, TokenFormat.MACAROON])("makes a token of format %s that verifies", async (format) => {
    const { apiKey, credential } = await t.admin().issueApiKey({ name: "k", scopes: ["invoices:*"], ownerId: "acme" });
    const derived = await t
      .client(DerivationService, credential)
      .deriveToken({ format, audiences: [audience], scopes: ["invoices:read"] });
    for (const verify of [
      () => t.admin().verifyCredential({ credential: derived.token, audience, requiredScopes: ["invoices:read"] }),
      () =>
        t
          .client(DerivationService)
          .verifyToken({ credential: derived.token, audience, requiredScopes: ["invoices:read"] }),
    ]) {
      const verified = await verify();
      expect(verified).toMatchObject({ valid: true, tokenId: derived.tokenId });
      expect(verified.key).toMatchObject({ id: apiKey?.id, ownerId: "acme", scopes: ["invoices:read"] });
    }
    const elsewhere = await t.client(DerivationService).verifyToken({ credential: derived.token, audience: "x" });
    expect(elsewhere.code).toBe(VerificationCode.AUDIENCE_MISMATCH);
  });
});
