/** Who may call a method: anyone (`open`), or a caller that holds the reserved scope. */
export type Access = { readonly open: true } | { readonly scope: string };

const open: Access = { open: true };
const keysRead: Access = { scope: "ichor:keys:read" };
const keysWrite: Access = { scope: "ichor:keys:write" };
const keysVerify: Access = { scope: "ichor:keys:verify" };

/**
 * Every method of every service, under its full name: the one place that says who may call it. A method that isn't here
 * can't be registered, so that a forgotten entry closes the method instead of opening it. A test holds the scopes equal
 * to the `Callers:` lines of the protos.
 */
export const accessTable: Readonly<Record<string, Access>> = {
  "grpc.health.v1.Health/Check": open,
  "grpc.health.v1.Health/Watch": open,
  "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": open,
  "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": open,
  "ichor.v1.AdminService/IssueApiKey": keysWrite,
  "ichor.v1.AdminService/GetApiKey": keysRead,
  "ichor.v1.AdminService/VerifyCredential": keysVerify,
  "ichor.v1.AdminService/BatchVerifyCredentials": keysVerify,
  "ichor.v1.AdminService/RotateApiKey": keysWrite,
  "ichor.v1.AdminService/EndGracePeriod": keysWrite,
  "ichor.v1.AdminService/DisableApiKey": keysWrite,
  "ichor.v1.AdminService/EnableApiKey": keysWrite,
  "ichor.v1.AdminService/RevokeApiKey": keysWrite,
  "ichor.v1.AdminService/DeleteApiKey": keysWrite,
};
