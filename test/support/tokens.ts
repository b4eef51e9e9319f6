import type { MessageInitShape } from "@bufbuild/protobuf";
import type { IssueApiKeyRequestSchema } from "../../gen/ichor/v1/admin_service_pb.ts";
import { TokenFormat } from "../../gen/ichor/v1/api_key_pb.ts";
import {
  DerivationService,
  type DeriveTokenRequestSchema,
  type DeriveTokenResponse,
} from "../../gen/ichor/v1/derivation_service_pb.ts";
import { VerificationCode } from "../../gen/ichor/v1/verification_pb.ts";
import type { TestApp } from "./test-app.ts";

/** The audience that tests derive tokens for, unless they say otherwise. */
export const testAudience = "https://api.example";

/** A key with its credential. */
export interface TestKey {
  readonly keyId: string;
  readonly credential: string;
}

/** Issues a key as root, in tenant `default` or in the one that is named. */
export async function issueKey(
  t: TestApp,
  fields: Omit<MessageInitShape<typeof IssueApiKeyRequestSchema>, "$typeName"> = {},
  tenant?: string,
): Promise<TestKey> {
  const headers = tenant === undefined ? undefined : { "ichor-tenant": tenant };
  const { apiKey, credential } = await t
    .admin(undefined, headers)
    .issueApiKey({ name: "k", scopes: ["invoices:*"], ...fields });
  return { keyId: apiKey?.id ?? "", credential };
}

/** Derives a token as its holder: a JWT for the tests' audience, unless the request says otherwise. */
export function derive(
  t: TestApp,
  credential: string,
  request: Omit<MessageInitShape<typeof DeriveTokenRequestSchema>, "$typeName"> = {},
): Promise<DeriveTokenResponse> {
  return t
    .client(DerivationService, credential)
    .deriveToken({ format: TokenFormat.JWT, audiences: [testAudience], ...request });
}

/** The name of VerifyToken's code, for the tests' audience, asked as root in tenant `default` or the one that is named. */
export async function codeOf(t: TestApp, token: string, tenant?: string): Promise<string> {
  const headers = tenant === undefined ? undefined : { "ichor-tenant": tenant };
  const verify = t.client(DerivationService, undefined, headers);
  const { code } = await verify.verifyToken({ credential: token, audience: testAudience });
  return Object.entries(VerificationCode).find(([, value]) => value === code)?.[0] ?? String(code);
}
