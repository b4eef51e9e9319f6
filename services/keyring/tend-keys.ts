import { byItself } from "../core/audit-event.ts";
import { signingKeysDigest } from "../core/change-chain.ts";
import type { TenantId } from "../core/ids.ts";
import { dueStep, publishedKeys, removed, rotated, type SigningKey } from "../core/signing-key.ts";
import { defaultTenantSlug } from "../core/tenant.ts";
import type { Mutation, Store } from "../store/port.ts";
import type { Keyring } from "./keyring.ts";
import { macaroonMasterPurpose } from "./macaroon-masters.ts";

const batch = 100;

export interface TendingDeps {
  readonly store: Store;
  readonly keyring: Keyring;
  /** Ms since the epoch. */
  readonly now: () => number;
  readonly log: { info(fields: object, message: string): void };
}

/**
 * Does all that is due: first keys of tenants without any, rotation, removal of keys and of revocations that have
 * outlived every token. Each step decides again inside its transaction, so that of several servers one does it.
 */
export async function tendKeys(deps: TendingDeps, goOn: () => boolean = () => true): Promise<void> {
  const { store, now } = deps;
  const drain = async <T>(read: () => Promise<readonly T[]>, each: (item: T) => Promise<boolean>) => {
    for (let progress = true; progress && goOn(); ) {
      progress = false;
      for (const item of await read()) if (goOn() && (await each(item))) progress = true;
    }
  };
  await makeFirstMaster(deps);
  await drain(
    () => store.tokens.tenantsWithoutSigningKey(batch),
    (id) => makeFirstKeys(deps, id),
  );
  await drain(
    () => store.tokens.dueSigningKeys(now(), batch),
    (key) => takeDueStep(deps, key),
  );
  await drain(
    async () => [...new Set((await store.tokens.forgettableTokens(now(), batch)).map(({ tenantId }) => tenantId))],
    (id) => forgetTokens(deps, id),
  );
}

/** A store of before there were macaroons has no master. */
async function makeFirstMaster({ store, keyring, log }: TendingDeps): Promise<void> {
  if ((await store.listSealedSecrets(macaroonMasterPurpose)).length > 0) return;
  const master = keyring.newMacaroonMaster();
  const tenant = await store.getTenantBySlug(defaultTenantSlug);
  if (tenant === undefined) return;
  const { result } = await store.mutate(async (tx): Promise<Mutation<boolean>> => {
    if ((await tx.listSealedSecrets(macaroonMasterPurpose)).length > 0) return { result: false, unchanged: true };
    await tx.insertSealedSecret(master);
    return {
      result: true,
      change: { kind: "secret", event: "macaroon_master_added" },
      audit: byItself(tenant.id, "CreateMacaroonMaster", master.id),
    };
  });
  if (result) log.info({ masterId: master.id }, "the store got its first macaroon master");
}

async function makeFirstKeys({ store, keyring, log }: TendingDeps, id: TenantId): Promise<boolean> {
  const tenant = await store.getTenant(id);
  if (tenant === undefined) return false;
  const insert = await keyring.firstKeys(tenant);
  const { result } = await store.mutate(async (tx): Promise<Mutation<boolean>> => {
    if ((await tx.tokens.listSigningKeys(id)).length > 0) return { result: false, unchanged: true };
    await insert(tx);
    const keys = await tx.tokens.listSigningKeys(id);
    const signingKeyIds = keys.map((key) => key.id);
    return {
      result: true,
      change: { kind: "signing_key", tenantId: id, event: "created", signingKeyIds, published: publishedKeys(keys) },
      audit: { ...byItself(id, "CreateSigningKeys", id), afterDigest: signingKeysDigest(keys) },
    };
  });
  if (result) log.info({ tenantId: id }, "the tenant got its first signing keys");
  return result;
}

/** Rotates or removes, if that is still due. */
async function takeDueStep({ store, keyring, now, log }: TendingDeps, due: SigningKey): Promise<boolean> {
  const { tenantId } = due;
  const tenant = await store.getTenant(tenantId);
  if (tenant === undefined) return false;
  const { signingAlgorithm, signingKeyPeriodSeconds } = tenant.settings;
  const rotates = due.state === "ACTIVE";
  const fresh = rotates ? await keyring.newSigningKey(tenantId, signingAlgorithm) : undefined;
  const { result } = await store.mutate(async (tx): Promise<Mutation<boolean>> => {
    const keys = await tx.tokens.listSigningKeys(tenantId);
    const nowMs = now();
    const isDue = keys.some((key) => key.id === due.id && dueStep(key, nowMs) === (rotates ? "rotate" : "remove"));
    const periodMs = signingKeyPeriodSeconds * 1000;
    const step = !isDue
      ? undefined
      : fresh === undefined
        ? removed(keys, nowMs)
        : rotated(keys, fresh.key, { nowMs, periodMs, force: false });
    if (step === undefined) return { result: false, unchanged: true };
    return {
      result: true,
      change: await keyring.saveStep(tx, tenantId, step, fresh),
      audit: {
        ...byItself(tenantId, rotates ? "RotateSigningKey" : "RemoveSigningKey", due.id),
        beforeDigest: signingKeysDigest(keys),
        afterDigest: signingKeysDigest(await tx.tokens.listSigningKeys(tenantId)),
      },
    };
  });
  if (result) log.info({ tenantId, signingKeyId: due.id }, rotates ? "signing key rotated" : "signing key removed");
  return result;
}

async function forgetTokens({ store, now }: TendingDeps, tenantId: TenantId): Promise<boolean> {
  const { result } = await store.mutate(async (tx): Promise<Mutation<boolean>> => {
    const all = await tx.tokens.forgettableTokens(now(), batch);
    const tokens = all
      .filter((token) => token.tenantId === tenantId)
      .map(({ keyId, tokenId, forgetTimeMs }) => ({ keyId, tokenId, forgetTimeMs }));
    if (tokens.length === 0) return { result: false, unchanged: true };
    await tx.tokens.deleteTokenRevocations(tenantId, tokens);
    return {
      result: true,
      change: { kind: "token", tenantId, event: "forgotten", tokens },
      audit: byItself(tenantId, "ForgetTokens", tenantId),
    };
  });
  return result;
}
