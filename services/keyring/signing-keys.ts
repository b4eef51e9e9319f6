import { createPrivateKey, generateKeyPair } from "node:crypto";
import { promisify } from "node:util";
import type { Change } from "../core/change.ts";
import { newId, type TenantId } from "../core/ids.ts";
import { type JwtAlgorithm, rsaBitsMin } from "../core/jwt/algorithms.ts";
import type { JwtSigner } from "../core/jwt/sign.ts";
import { jwkThumbprint, type PublicJwk } from "../core/jwt/verification-key.ts";
import { activated, publishedKeys, type SigningKey, type SigningKeyStep } from "../core/signing-key.ts";
import type { Tenant } from "../core/tenant.ts";
import type { SealedSecret, StoreTransaction } from "../store/port.ts";
import type { MasterKeys } from "./master-key.ts";
import { openSecret, sealSecret } from "./sealed-secret.ts";

/** Purpose of the sealed secrets that are private parts of signing keys; their ids are the keys'. */
export const signingKeyPurpose = "signing_key";

export interface SigningKeyDeps {
  readonly masterKeys: MasterKeys;
  readonly random: (size: number) => Uint8Array;
  /** Ms since the epoch. */
  readonly now: () => number;
}

/** A signing key that was just made, NEXT, with the row of its private part. */
export interface FreshSigningKey {
  readonly key: SigningKey;
  readonly row: SealedSecret;
}

/**
 * Makes a key pair and seals its private part as a JWK: reading it back is a tenth of the work that PKCS #8 would be.
 * An RSA pair takes some 100 ms, in another thread: make it before the transaction that stores it.
 */
export async function newSigningKey(
  { masterKeys, random, now }: SigningKeyDeps,
  tenantId: TenantId,
  algorithm: JwtAlgorithm,
): Promise<FreshSigningKey> {
  const nowMs = now();
  const id = newId("sig", nowMs, random(10));
  const { publicJwk, privateJwk } = await keyPair(algorithm);
  const kid = jwkThumbprint(publicJwk);
  const key: SigningKey = {
    id,
    tenantId,
    kid,
    algorithm,
    state: "NEXT",
    publicJwk: { ...publicJwk, kid, use: "sig" },
    createTimeMs: nowMs,
  };
  const place = { id, tenantId, purpose: signingKeyPurpose, createTimeMs: nowMs };
  return { key, row: sealSecret(masterKeys, place, Buffer.from(JSON.stringify(privateJwk)), random) };
}

/** Makes the keys that a tenant begins with: one that signs, and the next one. */
export async function firstSigningKeys(
  deps: SigningKeyDeps,
  { id, settings }: Pick<Tenant, "id" | "settings">,
): Promise<readonly FreshSigningKey[]> {
  const [active, next] = await Promise.all([
    newSigningKey(deps, id, settings.signingAlgorithm),
    newSigningKey(deps, id, settings.signingAlgorithm),
  ]);
  const periodMs = settings.signingKeyPeriodSeconds * 1000;
  return [{ ...active, key: activated(active.key, next.key, active.key.createTimeMs, periodMs) }, next];
}

/** Stores new keys with their private parts. */
export async function insertSigningKeys(tx: StoreTransaction, fresh: readonly FreshSigningKey[]): Promise<void> {
  for (const { key, row } of fresh) {
    await tx.insertSealedSecret(row);
    await tx.tokens.putSigningKey(key);
  }
}

/** Stores what a step made of a tenant's keys, and erases private parts that are of no more use. Gives its change. */
export async function saveSigningKeyStep(
  tx: StoreTransaction,
  tenantId: TenantId,
  step: SigningKeyStep,
  fresh?: FreshSigningKey,
): Promise<Change> {
  if (fresh && step.changed.some(({ id }) => id === fresh.key.id)) await tx.insertSealedSecret(fresh.row);
  for (const key of step.changed) await tx.tokens.putSigningKey(key);
  for (const { id } of step.forgotten) await tx.deleteSealedSecret(id);
  const published = publishedKeys(await tx.tokens.listSigningKeys(tenantId));
  return {
    kind: "signing_key",
    tenantId,
    event: step.event,
    signingKeyIds: step.changed.map(({ id }) => id),
    published,
  };
}

/** Opens the private part of a key. Throws SECRET_NOT_LOADED. */
export function openSigner(masterKeys: MasterKeys, { kid, algorithm }: SigningKey, row: SealedSecret): JwtSigner {
  const jwk = JSON.parse(Buffer.from(openSecret(masterKeys, row)).toString("utf8"));
  return { kid, algorithm, privateKey: createPrivateKey({ key: jwk, format: "jwk" }) };
}

const generate = promisify(generateKeyPair);

async function keyPair(algorithm: JwtAlgorithm): Promise<{ publicJwk: PublicJwk; privateJwk: object }> {
  const { publicKey, privateKey } = await generateFor(algorithm);
  const publicJwk = { ...publicKey.export({ format: "jwk" }), alg: algorithm } as PublicJwk;
  return { publicJwk, privateJwk: privateKey.export({ format: "jwk" }) };
}

function generateFor(algorithm: JwtAlgorithm) {
  switch (algorithm) {
    case "EdDSA":
      return generate("ed25519", undefined);
    case "ES256":
      return generate("ec", { namedCurve: "prime256v1" });
    case "RS256":
      return generate("rsa", { modulusLength: rsaBitsMin });
  }
}
