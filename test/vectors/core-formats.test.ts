import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { AuditEvent } from "../../services/core/audit-event.ts";
import { decodeBase62, encodeBase62 } from "../../services/core/base62.ts";
import type { Change } from "../../services/core/change.ts";
import { auditBytes, chainHash, changeBytes, decodeChange, genesisHash } from "../../services/core/change-chain.ts";
import { crc32, crc32Base62 } from "../../services/core/crc32.ts";
import { formatIssuedKey, parseIssuedKey } from "../../services/core/credential.ts";
import { importedDigest, issuedDigest, sha256 } from "../../services/core/digest.ts";
import {
  type IdPrefix,
  idBytes,
  idFromBytes,
  type KeyId,
  newId,
  parseId,
  type TenantId,
} from "../../services/core/ids.ts";

const fromHex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

function vectors<T>(name: string): T {
  return JSON.parse(readFileSync(new URL(`${name}.json`, import.meta.url), "utf8")) as T;
}

describe("ids", () => {
  interface IdCase {
    readonly prefix: IdPrefix;
    readonly timeMs: number;
    readonly random: string;
    readonly bytes: string;
    readonly id: string;
  }
  const { cases, refused } = vectors<{ cases: readonly IdCase[]; refused: readonly string[] }>("ids");

  it.each(cases)("makes $id of its time and random bytes", ({ prefix, timeMs, random, bytes, id }) => {
    expect(newId(prefix, timeMs, fromHex(random))).toBe(id);
    expect(idFromBytes(prefix, fromHex(bytes))).toBe(id);
    expect(toHex(idBytes(parseId(prefix, id) as KeyId))).toBe(bytes);
  });

  it.each(refused)("refuses %j as a key id", (text) => {
    expect(parseId("key", text)).toBeUndefined();
  });
});

describe("base62", () => {
  interface Base62Case {
    readonly bytes: string;
    readonly text: string;
  }
  const { cases, refused } = vectors<{ cases: readonly Base62Case[]; refused: readonly string[] }>("base62");

  it.each(cases)("writes $bytes as $text and reads it back", ({ bytes, text }) => {
    expect(encodeBase62(fromHex(bytes))).toBe(text);
    expect(decodeBase62(text)).toEqual(fromHex(bytes));
  });

  it.each(refused)("refuses %j", (text) => {
    expect(decodeBase62(text)).toBeUndefined();
  });
});

describe("CRC-32", () => {
  interface CrcCase {
    readonly text: string;
    readonly crc32: string;
    readonly base62: string;
  }

  it.each(vectors<{ cases: readonly CrcCase[] }>("crc32").cases)("of $text is $crc32", (vector) => {
    expect(crc32(vector.text)).toBe(Number.parseInt(vector.crc32, 16));
    expect(crc32Base62(vector.text)).toBe(vector.base62);
  });
});

describe("issued keys", () => {
  interface IssuedKeyCase {
    readonly prefix: string;
    readonly keyId: KeyId;
    readonly secret: string;
    readonly credential: string;
    readonly tenantId: TenantId;
    readonly pepper: string;
    readonly digest: string;
  }

  it.each(vectors<{ cases: readonly IssuedKeyCase[] }>("issued-key").cases)("$credential", (vector) => {
    const { prefix, keyId, credential, tenantId } = vector;
    const secret = fromHex(vector.secret);
    expect(formatIssuedKey(prefix, keyId, secret)).toBe(credential);
    expect(parseIssuedKey(credential)).toEqual({ kind: "ISSUED_KEY", prefix, keyId, secret });
    const pepper = { id: "p", key: fromHex(vector.pepper) };
    expect(toHex(issuedDigest(pepper, tenantId, keyId, secret))).toBe(vector.digest);
  });
});

describe("imported keys", () => {
  interface ImportedKeyCase {
    readonly raw: string;
    readonly rawSha256: string;
    readonly tenantId: TenantId;
    readonly pepper: string;
    readonly digest: string;
  }

  it.each(vectors<{ cases: readonly ImportedKeyCase[] }>("imported-key").cases)("$rawSha256", (vector) => {
    expect(toHex(sha256(vector.raw))).toBe(vector.rawSha256);
    const pepper = { id: "p", key: fromHex(vector.pepper) };
    expect(toHex(importedDigest(pepper, vector.tenantId, fromHex(vector.rawSha256)))).toBe(vector.digest);
  });
});

describe("change chain", () => {
  interface Entry {
    readonly revision: string;
    readonly change: Change;
    readonly changeBytes: string;
    readonly audit: Omit<AuditEvent, "beforeDigest" | "afterDigest"> & {
      readonly beforeDigest?: string;
      readonly afterDigest?: string;
    };
    readonly auditBytes: string;
    readonly hash: string;
  }
  const { entries } = vectors<{ entries: readonly Entry[] }>("change-chain");

  function auditEvent({ beforeDigest, afterDigest, ...rest }: Entry["audit"]): AuditEvent {
    return {
      ...rest,
      ...(beforeDigest !== undefined && { beforeDigest: fromHex(beforeDigest) }),
      ...(afterDigest !== undefined && { afterDigest: fromHex(afterDigest) }),
    };
  }

  it("hashes each entry onto the one before", () => {
    let hash = genesisHash;
    for (const entry of entries) {
      const change = changeBytes(entry.change);
      const audit = auditBytes(auditEvent(entry.audit));
      expect(Buffer.from(change).toString()).toBe(entry.changeBytes);
      expect(Buffer.from(audit).toString()).toBe(entry.auditBytes);
      expect(decodeChange(change)).toEqual(entry.change);
      hash = chainHash(hash, BigInt(entry.revision), sha256(change), sha256(audit));
      expect(toHex(hash)).toBe(entry.hash);
    }
    expect(entries).toHaveLength(3);
  });
});

describe("HMAC-SHA-256 of this platform", () => {
  interface HmacCase {
    readonly name: string;
    readonly key: string;
    readonly data: string;
    readonly hmac_sha256: string;
  }

  it.each(vectors<{ cases: readonly HmacCase[] }>("rfc4231-hmac-sha256").cases)(
    "is that of RFC 4231, case $name",
    (vector) => {
      const digest = createHmac("sha256", fromHex(vector.key)).update(fromHex(vector.data)).digest("hex");
      // Case 5 tests truncation.
      expect(digest.slice(0, vector.hmac_sha256.length)).toBe(vector.hmac_sha256);
    },
  );
});
