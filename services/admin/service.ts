import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { type Registration, scopedService } from "../rpc/method-registry.ts";
import { bulkRevokeApiKeys } from "./bulk-revoke-api-keys.ts";
import { deleteApiKey, disableApiKey, enableApiKey, endGracePeriod, revokeApiKey } from "./change-key-state.ts";
import type { AdminDeps } from "./deps.ts";
import { getApiKey } from "./get-api-key.ts";
import { batchImportApiKeys, importApiKey } from "./import-api-key.ts";
import { issueApiKey } from "./issue-api-key.ts";
import { listApiKeys } from "./list-api-keys.ts";
import { listAuditCheckpoints } from "./list-audit-checkpoints.ts";
import { listAuditEvents } from "./list-audit-events.ts";
import { listSubscribers } from "./list-subscribers.ts";
import { lookupCredentials } from "./lookup-credentials.ts";
import { revokeToken } from "./revoke-token.ts";
import { rotateApiKey } from "./rotate-api-key.ts";
import { listSigningKeys, revokeSigningKey, rotateAudienceKey, rotateSigningKey } from "./signing-keys.ts";
import { createTenant, disableTenant, enableTenant, getTenant, listTenants } from "./tenants.ts";
import { updateApiKey } from "./update-api-key.ts";
import { updateTenant } from "./update-tenant.ts";
import { verifyAuditChain } from "./verify-audit-chain.ts";
import { batchVerifyCredentials, verifyCredential } from "./verify-credential.ts";
import { watchEvents } from "./watch-events.ts";

/** AdminService on its ports, ready to be registered. */
export function adminService(deps: AdminDeps): Registration {
  return scopedService(AdminService, {
    issueApiKey: issueApiKey(deps),
    importApiKey: importApiKey(deps),
    batchImportApiKeys: batchImportApiKeys(deps),
    getApiKey: getApiKey(deps),
    listApiKeys: listApiKeys(deps),
    lookupCredentials: lookupCredentials(deps),
    updateApiKey: updateApiKey(deps),
    bulkRevokeApiKeys: bulkRevokeApiKeys(deps),
    verifyCredential: verifyCredential(deps),
    batchVerifyCredentials: batchVerifyCredentials(deps),
    rotateApiKey: rotateApiKey(deps),
    endGracePeriod: endGracePeriod(deps),
    disableApiKey: disableApiKey(deps),
    enableApiKey: enableApiKey(deps),
    revokeApiKey: revokeApiKey(deps),
    deleteApiKey: deleteApiKey(deps),
    revokeToken: revokeToken(deps),
    listSubscribers: listSubscribers(deps),
    listSigningKeys: listSigningKeys(deps),
    rotateSigningKey: rotateSigningKey(deps),
    revokeSigningKey: revokeSigningKey(deps),
    rotateAudienceKey: rotateAudienceKey(deps),
    createTenant: createTenant(deps),
    getTenant: getTenant(deps),
    listTenants: listTenants(deps),
    updateTenant: updateTenant(deps),
    disableTenant: disableTenant(deps),
    enableTenant: enableTenant(deps),
    listAuditEvents: listAuditEvents(deps),
    verifyAuditChain: verifyAuditChain(deps),
    listAuditCheckpoints: listAuditCheckpoints(deps),
    watchEvents: watchEvents(deps),
  });
}
