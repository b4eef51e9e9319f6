import { hkdfSync } from "node:crypto";
import { isAudience } from "../audience.ts";
import { idBytes, type TenantId } from "../ids.ts";

/** The root key of all macaroons of one tenant, audience and generation: 32 bytes. A secret: whoever holds it can mint. */
export type AudienceKey = Uint8Array & { readonly __audienceKey: true };

/** Bytes of a macaroon master, and of an audience key. */
export const audienceKeyBytes = 32;

const domain = Buffer.from("ichor/v1/audience");
const generationMax = 2 ** 32 - 1;

/**
 * Derives an audience key: HKDF-SHA-256 (RFC 5869) with the master as IKM, no salt, 32 bytes of output, and as info
 *
 * `"ichor/v1/audience"` ‖ 00 10 ‖ tenant id (16 bytes) ‖ length (2 bytes) ‖ audience (ASCII) ‖ 00 04 ‖ generation (4 bytes)
 *
 * with numbers in big-endian order. Every field has its length before it, so no two inputs share an info. About 10 µs:
 * keep the result.
 *
 * @param master 32 random bytes
 * @param generation from 1; raised by RotateAudienceKey
 */
export function audienceKey(master: Uint8Array, tenantId: TenantId, audience: string, generation: number): AudienceKey {
  if (master.length !== audienceKeyBytes) throw new TypeError("a macaroon master has 32 bytes");
  if (!isAudience(audience)) throw new TypeError("not an audience");
  if (!Number.isInteger(generation) || generation < 1 || generation > generationMax)
    throw new TypeError("generation out of range");
  const generationBytes = Buffer.alloc(4);
  generationBytes.writeUInt32BE(generation);
  const fields = [idBytes(tenantId), Buffer.from(audience), generationBytes].map(lengthPrefixed);
  const info = Buffer.concat([domain, ...fields]);
  return new Uint8Array(hkdfSync("sha256", master, "", info, audienceKeyBytes)) as AudienceKey;
}

function lengthPrefixed(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
