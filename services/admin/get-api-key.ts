import type { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { keyNotFound } from "../mutation/mutate-key.ts";
import type { Unary } from "../rpc/call.ts";
import { apiKeyToProto } from "../wire/api-key.ts";
import { parseKeyId } from "../wire/request-fields.ts";
import type { AdminDeps } from "./deps.ts";

/** GetApiKey: a key of the acting tenant, whatever its status. */
export function getApiKey(deps: Pick<AdminDeps, "store" | "now">): Unary<typeof AdminService.method.getApiKey> {
  return async (request, call) => {
    const key = await deps.store.getKey(parseKeyId(request.keyId));
    if (key === undefined || key.tenantId !== call.tenantId) throw keyNotFound();
    return { apiKey: apiKeyToProto(key, deps.now()) };
  };
}
