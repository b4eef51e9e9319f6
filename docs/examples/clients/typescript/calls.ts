// Issue, Derive, Watch with generated TypeScript: docs/clients.md says how it is generated and run.
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AdminService } from "./gen/ichor/v1/admin_service_pb.js";
import { TokenFormat } from "./gen/ichor/v1/api_key_pb.js";
import { DerivationService } from "./gen/ichor/v1/derivation_service_pb.js";

const baseUrl = process.env.ICHOR_URL ?? "http://127.0.0.1:8420";

function transportOf(credential: string) {
  const authorize: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${credential}`);
    return next(request);
  };
  return createGrpcTransport({ baseUrl, interceptors: [authorize] });
}

const root = transportOf(process.env.ICHOR_CREDENTIAL ?? "");
const admin = createClient(AdminService, root);
const { apiKey, credential } = await admin.issueApiKey({ name: "from TypeScript", scopes: ["invoices:*"] });
console.log("issued", apiKey?.id);

const holder = createClient(DerivationService, transportOf(credential));
const { tokenId } = await holder.deriveToken({ format: TokenFormat.JWT, audiences: ["https://api.example"] });
console.log("derived", tokenId);

let revocation = 0n;
const enough = new AbortController();
for await (const { event } of createClient(DerivationService, root).watchKeySet({}, { signal: enough.signal })) {
  if (event.case === "snapshotEnd") {
    ({ revision: revocation } = await admin.revokeApiKey({ keyId: apiKey?.id ?? "" }));
  } else if (event.case === "delta" && event.value.revision >= revocation) {
    console.log("told of the revocation of", (event.value.items?.markedKeys.length ?? 0) / 16, "key");
    break;
  }
}
enough.abort();
