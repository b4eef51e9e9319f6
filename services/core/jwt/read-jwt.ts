import { decodeCanonicalBase64url } from "../base64url.ts";
import { credentialBytesMax } from "../credential.ts";
import { parseId, type TenantId } from "../ids.ts";
import { decodeUtf8 } from "../utf8.ts";
import { type JwtHeader, readHeader } from "./header.ts";

/** Most bytes of a header, decoded. */
export const jwtHeaderBytesMax = 1024;

/** A JWT that is well formed on the outside. Nothing of it is verified. */
export interface UnverifiedJwt {
  readonly text: string;
  readonly unverifiedHeader: JwtHeader;
}

/**
 * Reads the outside of a JWT in compact form (RFC 7515 section 7.1); undefined if it is MALFORMED: longer than 8 KiB, a
 * header over 1 KiB or not ours, or a part that is not canonical base64url, so that one token has one text. Sizes are
 * checked before anything is decoded, and the claims are not parsed before the signature is checked.
 */
export function readJwt(text: string): UnverifiedJwt | undefined {
  if (text.length > credentialBytesMax) return undefined;
  const [headerPart, claimsPart, signaturePart, ...more] = text.split(".", 4);
  if (headerPart === undefined || claimsPart === undefined || signaturePart === undefined || more.length > 0)
    return undefined;
  if (headerPart.length > Math.ceil((jwtHeaderBytesMax * 4) / 3)) return undefined;
  const header = decodeCanonicalBase64url(headerPart);
  if (!header || !decodeCanonicalBase64url(claimsPart) || !decodeCanonicalBase64url(signaturePart)) return undefined;
  const unverifiedHeader = readHeader(parseJson(header));
  return unverifiedHeader && { text, unverifiedHeader };
}

/** Gives the tenant that a JWT says it is of: good for finding the keys that may prove it, and nothing else. */
export function unverifiedTenantId({ text }: UnverifiedJwt): TenantId | undefined {
  const claims = decodeCanonicalBase64url(text.split(".", 2)[1] ?? "");
  const parsed = claims && parseJson(claims);
  const tenant = typeof parsed === "object" && parsed !== null && "tenant" in parsed ? parsed.tenant : undefined;
  return typeof tenant === "string" ? parseId("ten", tenant) : undefined;
}

/** Parses JSON in UTF-8; undefined if it is neither. */
export function parseJson(bytes: Uint8Array): unknown {
  const text = decodeUtf8(bytes);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
