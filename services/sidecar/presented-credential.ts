import { credentialBytesMax } from "../core/credential.ts";
import { IchorError } from "../core/errors.ts";

const apiKeyHeader = "x-api-key";
const bearer = /^Bearer +([\x21-\x7e]+) *$/i;
const visible = /^[\x21-\x7e]+$/;

/**
 * Gives the credential of a request to a gateway: of `Authorization: Bearer` (RFC 6750 section 2.1) or `X-API-Key`, or of
 * the one header that is configured; undefined: there is none. Another scheme of Authorization is none.
 * Throws INVALID_FIELD where a gateway and a service behind it may see different ones: a repeated header, one in both
 * places, one that isn't a single word; CREDENTIAL_REFUSED above 8 KiB.
 *
 * @param rawHeaders names and values by turns, as they came
 * @param configured lower-case name
 */
export function presentedCredential(rawHeaders: readonly string[], configured?: string): string | undefined {
  if (configured !== undefined && configured !== "authorization") return word(rawHeaders, configured);
  const authorization = headerOnce(rawHeaders, "authorization");
  const ofBearer = authorization === undefined ? undefined : bearerIn(authorization);
  const ofApiKey = configured === undefined ? word(rawHeaders, apiKeyHeader) : undefined;
  if (ofBearer !== undefined && ofApiKey !== undefined) {
    throw new IchorError("INVALID_FIELD", "there are two credentials, in Authorization and X-API-Key");
  }
  return ofBearer ?? ofApiKey;
}

/** The headers, in lower case, in which a credential may be. */
export function credentialHeaders(configured?: string): readonly string[] {
  return configured === undefined ? ["authorization", apiKeyHeader] : [configured];
}

/** Gives the value of a header; throws INVALID_FIELD if it is repeated. `name` is in lower case. */
export function headerOnce(rawHeaders: readonly string[], name: string): string | undefined {
  const [found, another] = headersNamed(rawHeaders, name);
  if (another !== undefined) throw new IchorError("INVALID_FIELD", `the header ${name} is repeated`);
  return found;
}

/** Gives the values of a header, as often as it is there. `name` is in lower case. */
export function headersNamed(rawHeaders: readonly string[], name: string): readonly string[] {
  return rawHeaders.filter((_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === name);
}

function bearerIn(authorization: string): string | undefined {
  if (!/^Bearer(?![^ ])/i.test(authorization)) return undefined;
  const [, credential] = bearer.exec(authorization) ?? [];
  if (credential === undefined) throw new IchorError("INVALID_FIELD", "the header authorization has no one credential");
  return bounded(credential);
}

function word(rawHeaders: readonly string[], name: string): string | undefined {
  const value = headerOnce(rawHeaders, name);
  if (value === undefined || value === "") return undefined;
  if (!visible.test(value)) throw new IchorError("INVALID_FIELD", `the header ${name} has no one credential`);
  return bounded(value);
}

function bounded(credential: string): string {
  if (credential.length <= credentialBytesMax) return credential;
  throw new IchorError("CREDENTIAL_REFUSED", "the credential is too long");
}
