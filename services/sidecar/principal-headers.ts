import { CredentialKind } from "../../gen/ichor/v1/api_key_pb.ts";
import type { VerifyCredentialResponse } from "../../gen/ichor/v1/verification_pb.ts";
import { nameOf } from "../wire/enums.ts";
import { fromTimestamp } from "../wire/time.ts";

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
