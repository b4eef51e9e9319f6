import { IchorError } from "../core/errors.ts";

/** The longest credential that is looked at, in characters of the header. */
export const credentialLengthMax = 8 * 1024;

const scheme = "bearer";

/**
 * Gives the credential of an `Authorization: Bearer …` header (RFC 6750 section 2.1; the scheme in any case, RFC 9110
 * section 11.1). It is as presented: nothing is checked but its length.
 * Throws CREDENTIAL_MISSING without such a header, CREDENTIAL_REFUSED above 8 KiB.
 */
export function bearerCredential(authorization: string | undefined): string {
  if (authorization === undefined || !hasBearerScheme(authorization)) throw missing();
  if (authorization.length > scheme.length + 1 + credentialLengthMax) {
    throw new IchorError("CREDENTIAL_REFUSED", "the credential is not valid");
  }
  const presentedCredential = authorization.slice(scheme.length + 1).trim();
  if (presentedCredential === "") throw missing();
  return presentedCredential;
}

function hasBearerScheme(authorization: string): boolean {
  return (
    authorization.charCodeAt(scheme.length) === 0x20 && authorization.slice(0, scheme.length).toLowerCase() === scheme
  );
}

function missing(): IchorError {
  return new IchorError("CREDENTIAL_MISSING", "the call needs a header Authorization with a Bearer credential");
}
