import { readFileSync } from "node:fs";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { VerificationCode } from "../../gen/ichor/v1/verification_pb.ts";

const baseUrl = process.env.ICHOR_URL ?? "http://127.0.0.1:8420";
const rootCredential = readFileSync(".ichor/root.key", "utf8").trim();
const admin = createClient(
  AdminService,
  createConnectTransport({
    baseUrl,
    httpVersion: "1.1",
    interceptors: [
      (next) => (request) => {
        request.header.set("authorization", `Bearer ${rootCredential}`);
        return next(request);
      },
    ],
  }),
);

const { apiKey, credential } = await admin.issueApiKey({ name: "batch", ownerId: "acme", scopes: ["reports:*"] });
const reading = await admin.verifyCredential({ credential, requiredScopes: ["reports:read"] });
const paying = await admin.verifyCredential({ credential, requiredScopes: ["invoices:pay"] });
console.log(apiKey?.id, reading.valid, paying.code === VerificationCode.INSUFFICIENT_SCOPE);
