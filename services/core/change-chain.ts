import type { ApiKey } from "./api-key.ts";
import type { AuditEvent } from "./audit-event.ts";
import { type CanonicalValue, canonicalJson } from "./canonical-json.ts";
import type {
  ChainHash,
  Change,
  KeyEvent,
  PublishedSigningKey,
  SecretEvent,
  SigningKeyEvent,
  TenantEvent,
  TokenEvent,
  TokenRevocation,
} from "./change.ts";
import { sha256 } from "./digest.ts";
import { isKeyId, isTenantId, parseId } from "./ids.ts";
import type { SigningKey } from "./signing-key.ts";
import type { Tenant } from "./tenant.ts";

/** The hash before revision 1: 32 zero bytes. Not to be written to. */
export const genesisHash: ChainHash = new Uint8Array(32);

/**
 * Gives the hash of the log up to and including `revision`, 32 bytes: `SHA-256(previous hash ‖ revision as 8 bytes,
 * big-endian ‖ SHA-256(change) ‖ SHA-256(audit event))`. The digests are those of `changeBytes` and `auditBytes`; that
 * they stand in for the bytes lets compaction drop payloads and the chain still be checked.
 */
export function chainHash(
  previous: ChainHash,
  revision: bigint,
  changeDigest: Uint8Array,
  auditDigest: Uint8Array,
): ChainHash {
  if (previous.length !== 32 || changeDigest.length !== 32 || auditDigest.length !== 32) {
    throw new TypeError("the chain takes digests of 32 bytes");
  }
  const message = Buffer.alloc(104);
  message.set(previous);
  message.writeBigUInt64BE(revision, 32);
  message.set(changeDigest, 40);
  message.set(auditDigest, 72);
  return sha256(message);
}

/** Gives the bytes that a change is stored and hashed as: canonical JSON (RFC 8785) in UTF-8. */
export function changeBytes(change: Change): Uint8Array {
  return Buffer.from(canonicalJson(change));
}

/**
 * Gives the bytes that an audit event is hashed as: canonical JSON in UTF-8, digests in lower-case hex, absent members
 * left out, so that a member added later changes no hash of before.
 */
export function auditBytes(event: AuditEvent): Uint8Array {
  const { beforeDigest, afterDigest, ...rest } = event;
  return Buffer.from(canonicalJson({ ...rest, beforeDigest: hex(beforeDigest), afterDigest: hex(afterDigest) }));
}

/**
 * Gives the change that `changeBytes` made. Throws for anything else: whoever tails the log and can't read an
 * entry (another build's, or damage) must not skip it, since its caches would miss a change.
 */
export function decodeChange(bytes: Uint8Array): Change {
  const change = parseChange(JSON.parse(Buffer.from(bytes).toString("utf8")));
  if (!change) throw new TypeError("not a change that this build knows");
  return change;
}

/** Gives one digest for several keys, 32 bytes: the SHA-256 of theirs in a row. */
export function keysDigest(keys: readonly ApiKey[]): Uint8Array {
  return sha256(Buffer.concat(keys.map(keyDigest)));
}

/**
 * Gives the SHA-256 of a key, 32 bytes, for the audit trail's before and after. What belongs to the secret (digest,
 * pepper) is left out: no trace of it leaves the key's row, and rebinding to another pepper is no change of the key. So
 * are its use, which isn't logged, and the revision, which is the chain's.
 */
export function keyDigest(key: ApiKey): Uint8Array {
  const { revision: _, use: __, secretVersions, revocation, constraints, derivePolicy, rateLimits, ...rest } = key;
  const versions = secretVersions.map(({ digest: _, pepperId: __, use: ___, ...version }) => version);
  return sha256(
    canonicalJson({
      ...rest,
      constraints: { ...constraints },
      derivePolicy: derivePolicy && { ...derivePolicy },
      rateLimits: rateLimits?.map((limit) => ({ ...limit })),
      revocation: revocation && { ...revocation },
      secretVersions: versions,
    }),
  );
}

/** Gives the SHA-256 of a tenant, 32 bytes, for the audit trail. */
export function tenantDigest({ settings, ...rest }: Tenant): Uint8Array {
  return sha256(canonicalJson({ ...rest, settings: { ...settings } }));
}

/** Gives the SHA-256 of signing keys, 32 bytes, for the audit trail. */
export function signingKeysDigest(keys: readonly SigningKey[]): Uint8Array {
  return sha256(canonicalJson(keys.map(({ publicJwk, ...key }) => ({ ...key, publicJwk: { ...publicJwk } }))));
}

const keyEvents: Readonly<Record<KeyEvent, true>> = {
  issued: true,
  imported: true,
  changed: true,
  rotated: true,
  grace_ended: true,
  disabled: true,
  enabled: true,
  revoked: true,
  deleted: true,
  tokens_revoked: true,
  forgotten: true,
};
const tenantEvents: Readonly<Record<TenantEvent, true>> = {
  created: true,
  changed: true,
  disabled: true,
  enabled: true,
  tokens_revoked: true,
};
const secretEvents: Readonly<Record<SecretEvent, true>> = {
  pepper_added: true,
  pepper_retired: true,
  macaroon_master_added: true,
  checkpoint_key_added: true,
  feed_key_changed: true,
};
const signingKeyEvents: Readonly<Record<SigningKeyEvent, true>> = {
  created: true,
  rotated: true,
  compromised: true,
  removed: true,
};
const tokenEvents: Readonly<Record<TokenEvent, true>> = { revoked: true, forgotten: true };

function parseChange(value: unknown): Change | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const fields = value as Readonly<Record<string, CanonicalValue | undefined>>;
  const { kind, event, tenantId } = fields;
  if (typeof event !== "string") return undefined;
  if (kind === "secret") return isEvent(secretEvents, event) ? { kind, event } : undefined;
  if (kind === "store") return event === "epoch_renewed" ? { kind, event } : undefined;
  if (typeof tenantId !== "string" || !isTenantId(tenantId)) return undefined;
  switch (kind) {
    case "tenant": {
      const { tokensIssuedBeforeMs } = fields;
      if (!isEvent(tenantEvents, event) || !isOptionalCount(tokensIssuedBeforeMs)) return undefined;
      return { kind, tenantId, event, ...(tokensIssuedBeforeMs !== undefined && { tokensIssuedBeforeMs }) };
    }
    case "key": {
      const keyIds = listOf(fields.keyIds, (id) => (typeof id === "string" && isKeyId(id) ? id : undefined));
      const { tokenEpoch } = fields;
      if (!keyIds || !isEvent(keyEvents, event) || !isOptionalCount(tokenEpoch)) return undefined;
      return { kind, tenantId, event, keyIds, ...(tokenEpoch !== undefined && { tokenEpoch }) };
    }
    case "signing_key": {
      const signingKeyIds = listOf(fields.signingKeyIds, (id) =>
        typeof id === "string" ? parseId("sig", id) : undefined,
      );
      const published = listOf(fields.published, parsePublished);
      if (!signingKeyIds || !published || !isEvent(signingKeyEvents, event)) return undefined;
      return { kind, tenantId, event, signingKeyIds, published };
    }
    case "audit":
      return event === "noted" ? { kind, tenantId, event } : undefined;
    case "audience_key": {
      const { audience } = fields;
      return event === "rotated" && typeof audience === "string" ? { kind, tenantId, event, audience } : undefined;
    }
    case "token": {
      const tokens = listOf(fields.tokens, parseRevocation);
      return tokens && isEvent(tokenEvents, event) ? { kind, tenantId, event, tokens } : undefined;
    }
    default:
      return undefined;
  }
}

/** The list, each item parsed; undefined if it is none or has an item that is none. */
function listOf<T>(value: unknown, parse: (item: unknown) => T | undefined): readonly T[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const items = value.map(parse);
  return items.every((item) => item !== undefined) ? items : undefined;
}

function parsePublished(value: unknown): PublishedSigningKey | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { kid, state, publicJwk } = value as Readonly<Record<string, unknown>>;
  if (typeof kid !== "string" || !isPublishedState(state)) return undefined;
  if (typeof publicJwk !== "object" || publicJwk === null) return undefined;
  const strings = Object.values(publicJwk).every((member) => typeof member === "string");
  return strings ? { kid, state, publicJwk: publicJwk as Readonly<Record<string, string>> } : undefined;
}

function isPublishedState(state: unknown): state is PublishedSigningKey["state"] {
  return state === "NEXT" || state === "ACTIVE" || state === "RETIRED";
}

function isOptionalCount(value: unknown): value is number | undefined {
  return value === undefined || (Number.isSafeInteger(value) && (value as number) >= 0);
}

function parseRevocation(value: unknown): TokenRevocation | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { keyId, tokenId, forgetTimeMs } = value as Readonly<Record<string, unknown>>;
  if (typeof keyId !== "string" || !isKeyId(keyId) || typeof tokenId !== "string") return undefined;
  const parsed = parseId("tok", tokenId);
  return parsed && Number.isSafeInteger(forgetTimeMs)
    ? { keyId, tokenId: parsed, forgetTimeMs: forgetTimeMs as number }
    : undefined;
}

function isEvent<E extends string>(events: Readonly<Record<E, true>>, event: string): event is E {
  return Object.hasOwn(events, event);
}

function hex(bytes: Uint8Array | undefined): string | undefined {
  return bytes && Buffer.from(bytes).toString("hex");
}
