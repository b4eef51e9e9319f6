import type { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import type { UnaryMethods } from "../rpc/call.ts";
import { deleteApiKey, disableApiKey, enableApiKey, endGracePeriod, revokeApiKey } from "./change-key-state.ts";
import type { AdminDeps } from "./deps.ts";
import { getApiKey } from "./get-api-key.ts";
import { issueApiKey } from "./issue-api-key.ts";
import { rotateApiKey } from "./rotate-api-key.ts";
import { batchVerifyCredentials, verifyCredential } from "./verify-credential.ts";

/** AdminService's methods on their ports. */
export function adminService(deps: AdminDeps): UnaryMethods<typeof AdminService> {
  return {
    issueApiKey: issueApiKey(deps),
    getApiKey: getApiKey(deps),
    verifyCredential: verifyCredential(deps),
    batchVerifyCredentials: batchVerifyCredentials(deps),
    rotateApiKey: rotateApiKey(deps),
    endGracePeriod: endGracePeriod(deps),
    disableApiKey: disableApiKey(deps),
    enableApiKey: enableApiKey(deps),
    revokeApiKey: revokeApiKey(deps),
    deleteApiKey: deleteApiKey(deps),
  };
}
