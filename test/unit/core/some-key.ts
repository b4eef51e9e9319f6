import type { ApiKey, SecretVersion } from "../../../services/core/api-key.ts";
import type { Caller } from "../../../services/core/caller.ts";
import type { Pepper, Peppers } from "../../../services/core/digest.ts";
import { IchorError } from "../../../services/core/errors.ts";
import { newId } from "../../../services/core/ids.ts";

export const hourMs = 3_600_000;
/** When the fixtures were made. */
export const madeMs = 1_800_000_000_000;

const random = (fill: number) => new Uint8Array(10).fill(fill);

export const someTenantId = newId("ten", madeMs, random(1));
export const otherTenantId = newId("ten", madeMs, random(2));
export const someKeyId = newId("key", madeMs, random(3));
export const otherKeyId = newId("key", madeMs, random(4));
export const someEventId = newId("evt", madeMs, random(5));

/** A secret version made at `madeMs`, without grace end. */
export function someVersion(changes: Partial<SecretVersion> = {}): SecretVersion {
  return { number: 1, digest: new Uint8Array(32), pepperId: "pepper-1", createTimeMs: madeMs, ...changes };
}

/** A live issued key that allows everything that isn't reserved, everywhere, for ever. */
export function someKey(changes: Partial<ApiKey> = {}): ApiKey {
  return {
    id: someKeyId,
    tenantId: someTenantId,
    name: "ci",
    ownerId: "acme",
    scopes: ["*"],
    labels: {},
    state: "ACTIVE",
    visibility: "SECRET",
    kind: "ISSUED_KEY",
    prefix: "ichor_sk",
    createTimeMs: madeMs,
    updateTimeMs: madeMs,
    allowedCidrs: [],
    constraints: {},
    tokenEpoch: 0,
    secretVersions: [someVersion()],
    revision: 7n,
    ...changes,
  };
}

export function someCaller(changes: Partial<Caller> = {}): Caller {
  return {
    keyId: otherKeyId,
    tenantId: someTenantId,
    inDefaultTenant: false,
    scopes: [],
    kind: "ISSUED_KEY",
    ...changes,
  };
}

export function somePepper(number: number): Pepper {
  return { id: `pepper-${number}`, key: new Uint8Array(32).fill(number) };
}

/** Peppers of which the first is the current one. */
export function peppersOf(...peppers: readonly Pepper[]): Peppers {
  return {
    current: () => {
      if (!peppers[0]) throw new IchorError("SECRET_NOT_LOADED", "no pepper is loaded");
      return peppers[0];
    },
    get: (id) => peppers.find((pepper) => pepper.id === id),
    live: () => peppers,
    someSealed: () => false,
  };
}

/** The reason that `work` throws; undefined if it throws nothing. */
export function reasonOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    return error instanceof IchorError ? error.reason : String(error);
  }
}
