import { CredentialKind } from "../../gen/ichor/v1/api_key_pb.ts";
import type { VerifyCredentialResponse } from "../../gen/ichor/v1/verification_pb.ts";
import { IchorError } from "../core/errors.ts";
import { nameOf } from "../wire/enums.ts";
import { fromTimestamp } from "../wire/time.ts";

const principalPrefix = "ichor-principal-";
/** Version of the headers below. */
const principalVersion = "1";
/** The longest list of scopes that is told, in bytes: gateways bound the headers of an answer. */
export const scopesBytesMax = 4_096;

/**
 * Tells a service behind a gateway who called, in headers. Each is there in every answer, if empty: a gateway that copies
 * them overwrites what the client sent under their names.
 */
export function principalHeaders({ key, kind, tokenId }: VerifyCredentialResponse): Readonly<Record<string, string>> {
  const endMs = key?.expireTime && fromTimestamp(key.expireTime);
  const scopes = (key?.scopes ?? []).join(" ");
  return {
    "ichor-principal-version": principalVersion,
    "ichor-principal-key-id": key?.id ?? "",
    "ichor-principal-owner-id": headerText(key?.ownerId ?? ""),
    "ichor-principal-tenant-id": key?.tenantId ?? "",
    "ichor-principal-kind": kind ? nameOf(CredentialKind, kind) : "",
    "ichor-principal-scopes": scopes.length > scopesBytesMax ? "" : scopes,
    "ichor-principal-token-id": tokenId,
    "ichor-principal-expire-time": endMs === undefined ? "" : new Date(endMs).toISOString(),
  };
}

/** Gives a text as a header has it: all but visible ASCII, and `%`, percent-encoded as UTF-8. */
export function headerText(text: string): string {
  return text.replace(/[^\x21-\x24\x26-\x7e]+/gu, encodeURIComponent);
}

/** Whether a header, whose name is in lower case, is one that only the gateway may set. */
export function isPrincipalHeader(name: string): boolean {
  return name.startsWith(principalPrefix);
}

/**
 * Throws INVALID_FIELD for a header that a gateway passes by and a service takes for one of the principal's, or for that of
 * its token: by CGI's rules (RFC 3875 section 4.1.18) `Ichor_Principal_Key_Id` is the same as with hyphens, and some map
 * every other mark.
 */
export function refuseLookAlikes(rawHeaders: readonly string[], jwtHeader?: string): void {
  const isOurs = (name: string) => isPrincipalHeader(name) || name === jwtHeader;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? "").toLowerCase();
    if (!isOurs(name) && isOurs(name.replace(/[^a-z0-9]/g, "-")))
      throw new IchorError("INVALID_FIELD", "a header is named like one that tells who called");
  }
}
