/** What a caller must show: a credential that holds the reserved scope, or any, since the method is about that itself. */
export type CallerAccess =
  | { readonly scope: string }
  | {
      readonly holder: true;
      /** Whether the method ends a credential, so that a used-up rate limit must not keep its holder from it. */
      readonly unlimited?: true;
    };

/** Who may call a method: anyone (`open`), or such a caller. */
export type Access = { readonly open: true } | CallerAccess;

const open: Access = { open: true };
const keysRead: Access = { scope: "ichor:keys:read" };
const keysWrite: Access = { scope: "ichor:keys:write" };
const keysVerify: Access = { scope: "ichor:keys:verify" };
const signingRead: Access = { scope: "ichor:signing:read" };
const signingWrite: Access = { scope: "ichor:signing:write" };
const tenantsRead: Access = { scope: "ichor:tenants:read" };
const tenantsWrite: Access = { scope: "ichor:tenants:write" };
const auditRead: Access = { scope: "ichor:audit:read" };
const keySetWatch: Access = { scope: "ichor:keyset:watch" };
const anyKey: Access = { holder: true };
const ownEnd: Access = { holder: true, unlimited: true };

/**
 * Every method of every service, under its full name: the one place that says who may call it. A method that isn't here
 * can't be registered, so that a forgotten entry closes the method instead of opening it. A test holds the scopes equal
 * to the `Callers:` lines of the protos.
 */
export const accessTable: Readonly<Record<string, Access>> = {
  "envoy.service.auth.v3.Authorization/Check": keysVerify,
  "grpc.health.v1.Health/Check": open,
  "grpc.health.v1.Health/Watch": open,
  "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": open,
  "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": open,
  "ichor.v1.AdminService/IssueApiKey": keysWrite,
  "ichor.v1.AdminService/ImportApiKey": keysWrite,
  "ichor.v1.AdminService/BatchImportApiKeys": keysWrite,
  "ichor.v1.AdminService/GetApiKey": keysRead,
  "ichor.v1.AdminService/ListApiKeys": keysRead,
  "ichor.v1.AdminService/LookupCredentials": keysWrite,
  "ichor.v1.AdminService/UpdateApiKey": keysWrite,
  "ichor.v1.AdminService/BulkRevokeApiKeys": keysWrite,
  "ichor.v1.AdminService/VerifyCredential": keysVerify,
  "ichor.v1.AdminService/BatchVerifyCredentials": keysVerify,
  "ichor.v1.AdminService/RotateApiKey": keysWrite,
  "ichor.v1.AdminService/EndGracePeriod": keysWrite,
  "ichor.v1.AdminService/DisableApiKey": keysWrite,
  "ichor.v1.AdminService/EnableApiKey": keysWrite,
  "ichor.v1.AdminService/RevokeApiKey": keysWrite,
  "ichor.v1.AdminService/DeleteApiKey": keysWrite,
  "ichor.v1.AdminService/RevokeToken": { scope: "ichor:tokens:revoke" },
  "ichor.v1.AdminService/ListSigningKeys": signingRead,
  "ichor.v1.AdminService/ListSubscribers": signingRead,
  "ichor.v1.AdminService/RotateSigningKey": signingWrite,
  "ichor.v1.AdminService/RevokeSigningKey": signingWrite,
  "ichor.v1.AdminService/RotateAudienceKey": signingWrite,
  "ichor.v1.AdminService/CreateTenant": tenantsWrite,
  "ichor.v1.AdminService/GetTenant": tenantsRead,
  "ichor.v1.AdminService/ListTenants": tenantsRead,
  "ichor.v1.AdminService/UpdateTenant": tenantsWrite,
  "ichor.v1.AdminService/DisableTenant": tenantsWrite,
  "ichor.v1.AdminService/EnableTenant": tenantsWrite,
  "ichor.v1.AdminService/ListAuditEvents": auditRead,
  "ichor.v1.AdminService/VerifyAuditChain": auditRead,
  "ichor.v1.AdminService/ListAuditCheckpoints": auditRead,
  "ichor.v1.AdminService/WatchEvents": auditRead,
  "ichor.v1.DerivationService/DeriveToken": anyKey,
  "ichor.v1.DerivationService/VerifyToken": { scope: "ichor:tokens:verify" },
  "ichor.v1.DerivationService/GetKeySet": keySetWatch,
  "ichor.v1.DerivationService/WatchKeySet": keySetWatch,
  "ichor.v1.DerivationService/AckKeySet": keySetWatch,
  "ichor.v1.SelfService/GetSelf": anyKey,
  "ichor.v1.SelfService/RotateSelf": ownEnd,
  "ichor.v1.SelfService/RevokeSelf": ownEnd,
  "ichor.v1.SelfService/RevokeToken": ownEnd,
};
