import type { ApiKey } from "./core/api-key.ts";
import { keyDigest } from "./core/change-chain.ts";
import { formatIssuedKey } from "./core/credential.ts";
import { issuedDigest, type Pepper } from "./core/digest.ts";
import { type KeyId, newId } from "./core/ids.ts";
import { rootScope } from "./core/scopes.ts";
import { defaultTenantSlug, type Tenant } from "./core/tenant.ts";
import { createFileDurably } from "./durable-file.ts";
import type { MasterKeys } from "./keyring/master-key.ts";
import { loadPeppers } from "./keyring/peppers.ts";
import type { Store } from "./store/port.ts";
import { StoreStartError } from "./store/start-error.ts";

/** Makes a root credential of tenant `default`, and the record that is to be kept of it. */
export function newRootKey(
  tenant: Tenant,
  pepper: Pepper,
  nowMs: number,
  random: (size: number) => Uint8Array,
): { readonly key: Omit<ApiKey, "revision">; readonly credential: string } {
  const [prefix = ""] = tenant.settings.secretPrefixes;
  const id = newId("key", nowMs, random(10));
  const secret = random(32);
  const digest = issuedDigest(pepper, tenant.id, id, secret);
  return {
    key: {
      id,
      tenantId: tenant.id,
      name: "root",
      ownerId: "",
      scopes: [rootScope],
      labels: {},
      state: "ACTIVE",
      visibility: "SECRET",
      kind: "ISSUED_KEY",
      prefix,
      createTimeMs: nowMs,
      updateTimeMs: nowMs,
      allowedCidrs: [],
      constraints: {},
      tokenEpoch: 0,
      secretVersions: [{ number: 1, digest, pepperId: pepper.id, createTimeMs: nowMs }],
    },
    credential: formatIssuedKey(prefix, id, secret),
  };
}

/** Writes a credential to a file by `write`. Throws StoreStartError if that can't be. */
export function writeRootKey<T>(path: string, credential: string, write: (path: string, text: string) => T): T {
  try {
    return write(path, `${credential}\n`);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : cause;
    throw new StoreStartError(`the root credential can't be written to ${path}: ${why}`, { cause });
  }
}

/** Audit action of a root credential that is made beside the servers. */
export const newRootCredentialAction = "NewRootCredential";

/**
 * Makes another root credential for who has the store and its master key, as after the loss of the only one. Servers may run
 * meanwhile. It is in the new file `file`, durably, before it is committed, and an audit event tells of it. Throws
 * StoreStartError if the file is there or can't be written, or if the store was never started.
 */
export async function makeRootCredential(
  store: Store,
  masterKeys: MasterKeys,
  file: string,
  { now, random }: { readonly now: () => number; readonly random: (size: number) => Uint8Array },
): Promise<KeyId> {
  const tenant = await store.getTenantBySlug(defaultTenantSlug);
  if (tenant === undefined)
    throw new StoreStartError("the store was never started: its first start makes a root credential");
  const { secrets: peppers } = await loadPeppers(store, masterKeys, now());
  const root = newRootKey(tenant, peppers.current(), now(), random);
  await store.mutate(async (tx, revision) => {
    const key = { ...root.key, revision };
    await tx.insertKey(key);
    if (!writeRootKey(file, root.credential, createFileDurably))
      throw new StoreStartError(`${file} is there already: it isn't replaced`);
    return {
      result: undefined,
      change: { kind: "key", tenantId: tenant.id, event: "issued", keyIds: [key.id] },
      audit: {
        tenantId: tenant.id,
        action: newRootCredentialAction,
        target: key.id,
        address: "",
        requestId: "",
        afterDigest: keyDigest(key),
      },
    };
  });
  return root.key.id;
}
