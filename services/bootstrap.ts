import { join } from "node:path";
import type { ApiKey } from "./core/api-key.ts";
import { keyDigest } from "./core/change-chain.ts";
import { newId } from "./core/ids.ts";
import { defaultTenantSettings, defaultTenantSlug, type Tenant } from "./core/tenant.ts";
import { replaceFileDurably } from "./durable-file.ts";
import { checkpointKey } from "./keyring/checkpoint-keys.ts";
import { feedKey } from "./keyring/feed-keys.ts";
import { createMacaroonMaster } from "./keyring/macaroon-masters.ts";
import type { MasterKeys } from "./keyring/master-key.ts";
import { createPepper, pepperPurpose } from "./keyring/peppers.ts";
import { firstSigningKeys, insertSigningKeys } from "./keyring/signing-keys.ts";
import { newSigner } from "./keyring/signing-secret.ts";
import { newRootKey, writeRootKey } from "./root-key.ts";
import type { StoreDeps } from "./store/deps.ts";
import type { SealedSecret, Store } from "./store/port.ts";
import { StoreStartError } from "./store/start-error.ts";

/** Audit action of the first start. */
export const bootstrapAction = "Bootstrap";

export interface BootstrapDeps extends StoreDeps {
  readonly store: Store;
  readonly masterKeys: MasterKeys;
  /** Where `root.key` is written to; must be there. */
  readonly dataDir: string;
}

/**
 * The first start on an empty store: makes tenant `default` with its signing keys, the first pepper and macaroon
 * master, the keys of audit checkpoints and of feeds, and one root credential, in one transaction, so that of processes
 * that start together one does it. The credential is written to `root.key` before the commit, durably: there is no
 * committed root that nobody holds. On a store that was started before it changes nothing.
 *
 * Throws StoreStartError if `root.key` can't be written, or if the store's secrets are sealed under master keys none of
 * which is loaded: going on would refuse every key.
 */
export async function bootstrap(deps: BootstrapDeps): Promise<void> {
  const { store, masterKeys, log } = deps;
  if ((await store.getTenantBySlug(defaultTenantSlug)) === undefined) await firstStart(deps);
  const peppers = await store.listSealedSecrets(pepperPurpose);
  const sealed = peppers.filter(({ masterKeyId }) => masterKeys.byId(masterKeyId) === undefined);
  if (sealed.length === 0) return;
  if (sealed.length === peppers.length) {
    throw new StoreStartError(
      `the store's secrets are sealed under master key ${idsOf(sealed)}, but loaded is ${masterKeys.ids.join(", ")}: ` +
        "put the right master key file in its place",
    );
  }
  log.error({ masterKeyIds: idsOf(sealed) }, "some secrets stay sealed: a master key isn't loaded");
}

async function firstStart({ store, masterKeys, dataDir, clock, random, log }: BootstrapDeps): Promise<void> {
  const rootKeyFile = join(dataDir, "root.key");
  const nowMs = clock.now();
  const tenant: Tenant = {
    id: newId("ten", nowMs, random(10)),
    slug: defaultTenantSlug,
    name: "Default",
    state: "ACTIVE",
    settings: defaultTenantSettings,
    createTimeMs: nowMs,
    updateTimeMs: nowMs,
  };
  const { pepper, row } = createPepper(masterKeys, nowMs, random);
  const root = newRootKey(tenant, pepper, nowMs, random);
  const master = createMacaroonMaster(masterKeys, nowMs, random);
  const sealing = { masterKeys, random, now: clock.now };
  const forCheckpoints = newSigner(sealing, checkpointKey, () => ({}));
  const forFeeds = newSigner(sealing, feedKey, () => ({ activateTimeMs: nowMs }));
  const signingKeys = await firstSigningKeys(sealing, tenant);
  const { result: made } = await store.mutate(async (tx, revision) => {
    if ((await tx.getTenantBySlug(defaultTenantSlug)) !== undefined) return { result: false, unchanged: true };
    const key: ApiKey = { ...root.key, revision };
    await tx.insertTenant(tenant);
    await tx.insertSealedSecret(row);
    await tx.insertSealedSecret(master);
    await tx.insertSealedSecret(forCheckpoints.row);
    await tx.insertSealedSecret(forFeeds.row);
    await insertSigningKeys(tx, signingKeys);
    await tx.insertKey(key);
    // Last, under the lock of the head row: what another process made in the meantime isn't replaced. Should the commit
    // fail, the next first start replaces the file.
    writeRootKey(rootKeyFile, root.credential, replaceFileDurably);
    return {
      result: true,
      change: { kind: "tenant", tenantId: tenant.id, event: "created" },
      audit: {
        tenantId: tenant.id,
        action: bootstrapAction,
        target: key.id,
        address: "",
        requestId: "",
        afterDigest: keyDigest(key),
      },
    };
  });
  if (!made) return;
  log.info({ keyId: root.key.id, file: rootKeyFile }, "first start: the root credential was written");
  log.info({ kid: forCheckpoints.key.kid }, checkpointKey.made);
  log.info({ kid: forFeeds.key.kid }, feedKey.made);
}

function idsOf(secrets: readonly SealedSecret[]): string {
  return [...new Set(secrets.map(({ masterKeyId }) => masterKeyId))].join(", ");
}
