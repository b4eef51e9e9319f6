// A key is issued, verified, listed and revoked with the typed client, @ichor/client.
//   ICHOR_URL=http://127.0.0.1:8420 ICHOR_CREDENTIAL=$(cat .ichor/root.key) node typed-client.mjs
import { ConnectError } from "@connectrpc/connect";
import { createIchorClient, KeyStatus, RevocationReason, VerificationCode } from "@ichor/client";

const { ICHOR_URL: url, ICHOR_CREDENTIAL: root } = process.env;
const { admin } = createIchorClient({ url, credential: root });

const { apiKey, credential } = await admin.issueApiKey({
  name: "nightly export",
  ownerId: "acme",
  scopes: ["reports:*"],
  labels: { env: "prod" },
  // Makes the call repeatable: the same again within an hour gives the same key.
  requestId: "nightly-export-1",
});
console.log(`issued ${apiKey.id}`);

const { valid } = await admin.verifyCredential({ credential, requiredScopes: ["reports:read"] });
const { code } = await admin.verifyCredential({ credential, requiredScopes: ["invoices:pay"] });
console.log(`may read reports: ${valid}; may pay: ${code === VerificationCode.VALID}`);

// The holder calls as itself.
const { self } = createIchorClient({ url, credential });
const { scopes } = await self.getSelf({});
console.log(`says of itself that it may ${scopes.join(" ")}`);

const { apiKeys } = await admin.listApiKeys({ filter: 'owner_id = "acme" AND labels.env = "prod"' });
console.log(`acme has ${apiKeys.length}`);

// Answers once every server and verifier has applied it, or says who may not have.
const revoked = await admin.revokeApiKey({
  keyId: apiKey.id,
  reason: RevocationReason.CESSATION_OF_OPERATION,
  wait: { seconds: 5n },
});
console.log(
  `${KeyStatus.REVOKED === revoked.apiKey.status ? "revoked" : "?"}, everywhere: ${revoked.appliedEverywhere}`,
);

try {
  await admin.enableApiKey({ keyId: apiKey.id });
} catch (error) {
  console.log(`it is final: ${ConnectError.from(error).rawMessage}`);
}
