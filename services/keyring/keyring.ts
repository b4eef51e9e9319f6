import type { Change, TokenRevocation } from "../core/change.ts";
import type { DerivedToken } from "../core/derived-token.ts";
import { IchorError } from "../core/errors.ts";
import type { TenantId, TokenId } from "../core/ids.ts";
import type { JwtAlgorithm } from "../core/jwt/algorithms.ts";
import type { JwtSigner } from "../core/jwt/sign.ts";
import { keyIn, type SigningKeyStep } from "../core/signing-key.ts";
import type { Tenant } from "../core/tenant.ts";
import type { SealedSecret, Store, StoreTransaction } from "../store/port.ts";
import { type Followed, FollowedCache } from "./followed-cache.ts";
import { loadSecrets } from "./loaded-secrets.ts";
import { createMacaroonMaster, macaroonMasterPurpose } from "./macaroon-masters.ts";
import {
  type FreshSigningKey,
  firstSigningKeys,
  insertSigningKeys,
  newSigningKey,
  openSigner,
  type SigningKeyDeps,
  saveSigningKeyStep,
  signingKeyPurpose,
} from "./signing-keys.ts";
import { TenantKeys } from "./tenant-keys.ts";

export interface KeyringDeps extends SigningKeyDeps {
  readonly store: Store;
  /** The tail of the change log. */
  readonly followed: Followed;
}

/** The revoked tokens of a tenant. */
type RevokedTokens = Map<TokenId, TokenRevocation>;

/**
 * What signs and verifies derived tokens, and which of them were revoked: read from the store when a tenant is first
 * asked for, and kept in memory for as long as the change log doesn't say otherwise, so that signing and verifying
 * touch no store.
 */
export class Keyring {
  readonly #deps: KeyringDeps;
  readonly #tenants: FollowedCache<TenantId, TenantKeys>;
  readonly #revoked: FollowedCache<TenantId, RevokedTokens>;

  constructor(deps: KeyringDeps) {
    this.#deps = deps;
    this.#tenants = new FollowedCache((id) => this.#load(id), deps.followed);
    this.#revoked = new FollowedCache((id) => this.#loadRevoked(id), deps.followed);
  }

  /** The keys of a tenant; with `noCache` as the store has them. Rejects with STORE_UNAVAILABLE if it must be asked and can't. */
  forTenant(id: TenantId, noCache = false): Promise<TenantKeys> {
    return noCache ? this.#load(id) : this.#tenants.get(id);
  }

  /** Whether a token was revoked by itself. Rejects as `forTenant`. */
  async isTokenRevoked({ tenantId, keyId, tokenId }: DerivedToken, noCache = false): Promise<boolean> {
    if (noCache) return this.#deps.store.tokens.isTokenRevoked(tenantId, keyId, tokenId);
    return (await this.#revoked.get(tenantId)).has(tokenId);
  }

  /** Takes a change of the log; undefined: the history is another one, and nothing that is known holds. */
  apply(change: Change | undefined): void {
    switch (change?.kind) {
      case undefined:
        this.#revoked.clear();
        this.#tenants.clear();
        return;
      case "secret":
        this.#tenants.clear();
        return;
      case "signing_key":
      case "audience_key":
        this.#tenants.drop(change.tenantId);
        return;
      case "token":
        this.#revoked.change(change.tenantId, (revoked) => {
          for (const token of change.tokens) {
            if (change.event === "revoked") revoked.set(token.tokenId, token);
            else revoked.delete(token.tokenId);
          }
        });
    }
  }

  /** Makes a key pair for a tenant; nothing is stored. */
  newSigningKey(tenantId: TenantId, algorithm: JwtAlgorithm): Promise<FreshSigningKey> {
    return newSigningKey(this.#deps, tenantId, algorithm);
  }

  /** Makes the keys that a tenant begins with; gives what stores them in its transaction. */
  async firstKeys(tenant: Pick<Tenant, "id" | "settings">): Promise<(tx: StoreTransaction) => Promise<void>> {
    const fresh = await firstSigningKeys(this.#deps, tenant);
    return (tx) => insertSigningKeys(tx, fresh);
  }

  /** Makes a macaroon master; nothing is stored. */
  newMacaroonMaster(): SealedSecret {
    const { masterKeys, now, random } = this.#deps;
    return createMacaroonMaster(masterKeys, now(), random);
  }

  /** Stores what a step made of a tenant's keys; gives its change. */
  saveStep(tx: StoreTransaction, tenantId: TenantId, step: SigningKeyStep, fresh?: FreshSigningKey): Promise<Change> {
    return saveSigningKeyStep(tx, tenantId, step, fresh);
  }

  async #load(tenantId: TenantId): Promise<TenantKeys> {
    const { store, masterKeys } = this.#deps;
    const [signingKeys, secrets, generations, masters] = await Promise.all([
      store.tokens.listSigningKeys(tenantId),
      store.listSealedSecrets(signingKeyPurpose, tenantId),
      store.tokens.listAudienceGenerations(tenantId),
      loadSecrets(store, masterKeys, macaroonMasterPurpose),
    ]);
    let opened: JwtSigner | undefined;
    const open = (): JwtSigner => {
      const active = keyIn(signingKeys, "ACTIVE");
      const row = secrets.find(({ id }) => id === active.id);
      // The reads may stand on both sides of a rotation; the next one is of after it.
      if (row === undefined) throw new IchorError("SECRET_NOT_LOADED", "the signing key was just replaced");
      return openSigner(masterKeys, active, row);
    };
    const signer = () => {
      opened ??= open();
      return opened;
    };
    return new TenantKeys({ tenantId, signingKeys, signer, generations, masters });
  }

  async #loadRevoked(tenantId: TenantId): Promise<RevokedTokens> {
    const { store, now } = this.#deps;
    const tokens = await store.tokens.listTokenRevocations(tenantId, now());
    return new Map(tokens.map((token) => [token.tokenId, token]));
  }
}
