import { type AudienceGeneration, liveGenerations } from "../core/audience-generation.ts";
import { IchorError } from "../core/errors.ts";
import type { TenantId } from "../core/ids.ts";
import type { JwtSigner } from "../core/jwt/sign.ts";
import { importVerificationKey, type VerificationKey } from "../core/jwt/verification-key.ts";
import { type AudienceKey, audienceKey } from "../core/macaroon/audience-key.ts";
import { type ChainRoot, chainRootOf } from "../core/macaroon/chain.ts";
import { isPublished, type SigningKey } from "../core/signing-key.ts";
import type { LoadedSecrets } from "./loaded-secrets.ts";

/** What signs the macaroons of an audience now. */
export interface AudienceSigner {
  readonly masterId: string;
  readonly generation: number;
  readonly root: ChainRoot;
}

/** A root key of an audience's macaroons. */
export interface LiveAudienceKey extends AudienceGeneration {
  readonly masterId: string;
  readonly key: AudienceKey;
}

export interface TenantKeysParts {
  readonly tenantId: TenantId;
  readonly signingKeys: readonly SigningKey[];
  /** Throws SECRET_NOT_LOADED if the private part can't be opened here. */
  readonly signer: () => JwtSigner;
  readonly generations: readonly AudienceGeneration[];
  readonly masters: LoadedSecrets;
}

const rootsMax = 1_000;

/** What signs and verifies a tenant's tokens, as it stood when it was loaded. */
export class TenantKeys {
  /** Those that are published, the newest first. */
  readonly published: readonly SigningKey[];
  readonly #parts: TenantKeysParts;
  readonly #verification: ReadonlyMap<string, VerificationKey>;
  readonly #generations = new Map<string, AudienceGeneration[]>();
  readonly #roots = new Map<string, ChainRoot>();

  constructor(parts: TenantKeysParts) {
    this.#parts = parts;
    this.published = parts.signingKeys.filter(isPublished);
    this.#verification = new Map(this.published.map(({ kid, publicJwk }) => [kid, importVerificationKey(publicJwk)]));
    for (const one of parts.generations) {
      const same = this.#generations.get(one.audience);
      if (same === undefined) this.#generations.set(one.audience, [one]);
      else same.push(one);
    }
  }

  /** The published key of this thumbprint. */
  verificationKey(kid: string): VerificationKey | undefined {
    return this.#verification.get(kid);
  }

  /** What signs JWTs. Throws SECRET_NOT_LOADED. */
  signer(): JwtSigner {
    return this.#parts.signer();
  }

  /** What signs macaroons for an audience at `nowMs`. Throws SECRET_NOT_LOADED. */
  audienceSigner(audience: string, nowMs: number): AudienceSigner {
    const [master] = this.#parts.masters.opened;
    const generation = this.#live(audience, nowMs).at(-1)?.generation;
    if (master === undefined || generation === undefined) throw notLoaded();
    return { masterId: master.id, generation, root: this.#root(master.id, master.key, audience, generation) };
  }

  /**
   * What a macaroon that names these is checked with; undefined if there is no such key, or no longer at `nowMs`.
   * Throws SECRET_NOT_LOADED if the master stays sealed here.
   */
  audienceRoot(masterId: string, audience: string, generation: number, nowMs: number): ChainRoot | undefined {
    const { opened, sealed } = this.#parts.masters;
    if (!this.#live(audience, nowMs).some((one) => one.generation === generation)) return undefined;
    const master = opened.find(({ id }) => id === masterId);
    if (master !== undefined) return this.#root(master.id, master.key, audience, generation);
    if (sealed.some(({ id }) => id === masterId)) throw notLoaded();
    return undefined;
  }

  /** Every root key that verifies an audience's macaroons at `nowMs`. Throws SECRET_NOT_LOADED. */
  audienceKeys(audience: string, nowMs: number): readonly LiveAudienceKey[] {
    const { masters, tenantId } = this.#parts;
    if (masters.sealed.length > 0) throw notLoaded();
    return this.#live(audience, nowMs).flatMap((one) =>
      masters.opened.map(({ id, key }) => ({
        ...one,
        masterId: id,
        key: audienceKey(key, tenantId, audience, one.generation),
      })),
    );
  }

  #live(audience: string, nowMs: number): readonly AudienceGeneration[] {
    return liveGenerations(audience, this.#generations.get(audience) ?? [], nowMs);
  }

  /** Kept, in bounded number: whoever presents macaroons chooses the audiences that are asked for. */
  #root(masterId: string, master: Uint8Array, audience: string, generation: number): ChainRoot {
    const name = `${masterId} ${generation} ${audience}`;
    const kept = this.#roots.get(name);
    if (kept !== undefined) return kept;
    const [oldest] = this.#roots.size >= rootsMax ? this.#roots.keys() : [];
    if (oldest !== undefined) this.#roots.delete(oldest);
    const root = chainRootOf(audienceKey(master, this.#parts.tenantId, audience, generation));
    this.#roots.set(name, root);
    return root;
  }
}

function notLoaded(): IchorError {
  return new IchorError("SECRET_NOT_LOADED", "a secret that the answer needs is not loaded");
}
