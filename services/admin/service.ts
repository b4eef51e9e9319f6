import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { type Registration, scopedService } from "../rpc/method-registry.ts";
import { deleteApiKey, disableApiKey, enableApiKey, endGracePeriod, revokeApiKey } from "./change-key-state.ts";
import type { AdminDeps } from "./deps.ts";
import { getApiKey } from "./get-api-key.ts";
import { issueApiKey } from "./issue-api-key.ts";
import { rotateApiKey } from "./rotate-api-key.ts";
import { batchVerifyCredentials, verifyCredential } from "./verify-credential.ts";

/** AdminService on its ports, ready to be registered. */
export function adminService(deps: AdminDeps): Registration {
  return scopedService(AdminService, {
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
  });
}
