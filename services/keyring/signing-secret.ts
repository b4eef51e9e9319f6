import { createPrivateKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { byItself } from "../core/audit-event.ts";
import type { SecretEvent } from "../core/change.ts";
import { importVerificationKey, type PublicJwk } from "../core/jwt/verification-key.ts";
import { defaultTenantSlug } from "../core/tenant.ts";
import type { Mutation, SealedSecret, Store, StoreReads, StoreTransaction } from "../store/port.ts";
import { loadSecrets } from "./loaded-secrets.ts";
import type { MasterKeys } from "./master-key.ts";
import { sealSecret } from "./sealed-secret.ts";

/** What the keys of a store that sign one kind of statement, and nothing else, are kept and told as. */
export interface SigningPurpose {
  /** Of their sealed secrets. */
  readonly purpose: string;
  /** Of their rows' ids. */
  readonly idPrefix: string;
  /** What a change of them is in the log. */
  readonly event: SecretEvent;
  /** Audit actions. */
  readonly creates: string;
  readonly rotates: string;
  /** What the log says of a new one, with its thumbprint. */
  readonly made: string;
}

/**
 * An Ed25519 key of a purpose: whole, or the public part alone once it has retired. What it is sealed by vouches for it: the
 * database alone can't add one.
 */
export interface SigningSecret<About = object> {
  /** Id of its row. */
  readonly id: string;
  /** RFC 7638 thumbprint. */
  readonly kid: string;
  readonly publicJwk: PublicJwk;
  /** Absent once it has retired. */
  readonly privateKey?: KeyObject;
  /** What else is kept with it. */
  readonly about: About;
}

/** One that can sign. */
export type Signer<About = object> = SigningSecret<About> & { readonly privateKey: KeyObject };

/** Those of one purpose, the newest first. */
export interface SigningSecrets<About = object> {
  readonly keys: readonly SigningSecret<About>[];
  /** Whether one is there that this server can't open. */
  readonly someSealed: boolean;
}

/** What making and sealing a key needs. */
export interface SealingDeps {
  readonly masterKeys: MasterKeys;
  readonly random: (size: number) => Uint8Array;
  /** Ms since the epoch. */
  readonly now: () => number;
}

export interface SigningDeps extends SealingDeps {
  readonly store: Store;
  readonly log: { info(fields: object, message: string): void };
}

/** A key, and the row that keeps it. */
export interface FreshSigner<About = object> {
  readonly key: Signer<About>;
  readonly row: SealedSecret;
}

/** Whether a key has its private part. */
export function canSign<About>(key: SigningSecret<About>): key is Signer<About> {
  return key.privateKey !== undefined;
}

/** Reads and opens the keys of a purpose. Throws SECRET_NOT_LOADED for one that is damaged. */
export async function loadSigningSecrets<About = object>(
  store: Pick<StoreReads, "listSealedSecrets">,
  masterKeys: MasterKeys,
  { purpose }: Pick<SigningPurpose, "purpose">,
): Promise<SigningSecrets<About>> {
  const { opened, sealed } = await loadSecrets(store, masterKeys, purpose);
  return { keys: opened.map(({ id, key }) => signingSecretOf<About>(id, key)), someSealed: sealed.length > 0 };
}

/** Makes a key; `about` gives what is kept with it. */
export function newSigner<About extends object>(
  { masterKeys, now, random }: SealingDeps,
  { purpose, idPrefix }: SigningPurpose,
  about: (publicJwk: PublicJwk) => About,
): FreshSigner<About> {
  const id = `${idPrefix}_${Buffer.from(random(8)).toString("hex")}`;
  const { privateKey } = generateKeyPairSync("ed25519");
  const { kty = "", crv = "", x = "", d = "" } = privateKey.export({ format: "jwk" });
  const publicJwk = { kty, crv, x, alg: "EdDSA" };
  const plaintext = Buffer.from(JSON.stringify({ ...publicJwk, d, ...about(publicJwk) }));
  const row = sealSecret(masterKeys, { id, purpose, createTimeMs: now() }, plaintext, random);
  return { key: { ...signingSecretOf<About>(id, plaintext), privateKey }, row };
}

/** Gives the keys of a purpose, and makes the first one if the store has none; of several servers one does. */
export async function ensureSigner<About extends object>(
  deps: SigningDeps,
  kind: SigningPurpose,
  about: (publicJwk: PublicJwk) => About,
): Promise<SigningSecrets<About>> {
  const { store, masterKeys, log } = deps;
  const there = await loadSigningSecrets<About>(store, masterKeys, kind);
  if (there.keys.length > 0 || there.someSealed) return there;
  const { key, row } = newSigner(deps, kind, about);
  const { result: made } = await store.mutate(async (tx): Promise<Mutation<boolean>> => {
    if ((await tx.listSealedSecrets(kind.purpose)).length > 0) return { result: false, unchanged: true };
    await tx.insertSealedSecret(row);
    return { result: true, ...(await signerChange(tx, kind, kind.creates, key.kid)) };
  });
  if (made) log.info({ kid: key.kid }, kind.made);
  return loadSigningSecrets(store, masterKeys, kind);
}

/** Puts a key in the place of what its row keeps: one without its private part, or with something else beside it. */
export async function rewriteSigner(
  tx: StoreTransaction,
  { masterKeys, random }: Pick<SealingDeps, "masterKeys" | "random">,
  { purpose }: SigningPurpose,
  { id, publicJwk, privateKey, about }: SigningSecret,
): Promise<void> {
  const row = (await tx.listSealedSecrets(purpose)).find((row) => row.id === id);
  if (row === undefined) return;
  const d = privateKey?.export({ format: "jwk" }).d;
  const plaintext = Buffer.from(JSON.stringify({ ...publicJwk, ...(d && { d }), ...about }));
  await tx.deleteSealedSecret(id);
  await tx.insertSealedSecret(sealSecret(masterKeys, row, plaintext, random));
}

/** What the log says of a change of keys, with the thumbprint of one. */
export async function signerChange(
  tx: Pick<StoreTransaction, "getTenantBySlug">,
  { event }: SigningPurpose,
  action: string,
  kid: string,
) {
  const home = await tx.getTenantBySlug(defaultTenantSlug);
  if (home === undefined) throw new TypeError("a store that was started has a tenant default");
  return { change: { kind: "secret", event }, audit: byItself(home.id, action, kid) } as const;
}

interface Kept {
  readonly kty: string;
  readonly crv: string;
  readonly x: string;
  readonly d?: string;
  readonly alg: string;
}

function signingSecretOf<About>(id: string, plaintext: Uint8Array): SigningSecret<About> {
  const { kty, crv, x, d, alg, ...about }: Kept = JSON.parse(Buffer.from(plaintext).toString("utf8"));
  const publicJwk = { kty, crv, x, alg };
  const { kid } = importVerificationKey(publicJwk);
  const key = { id, kid, publicJwk, about: about as About };
  return d === undefined ? key : { ...key, privateKey: createPrivateKey({ key: { kty, crv, x, d }, format: "jwk" }) };
}
