import { sign } from "node:crypto";
import type { PublicJwk } from "../core/jwt/verification-key.ts";
import { type FeedKey, handoverBytes } from "../core/key-set/feed-key.ts";
import type { FeedSignature } from "../core/key-set/feed-statement.ts";
import type { StoreReads } from "../store/port.ts";
import { FollowedSecrets, type FollowedSecretsDeps } from "./followed-secrets.ts";
import type { MasterKeys } from "./master-key.ts";
import { canSign, loadSigningSecrets, type Signer, type SigningPurpose, type SigningSecret } from "./signing-secret.ts";

/** Keys that sign feeds of key sets. Who pins one must be told its thumbprint another way than by a feed. */
export const feedKey: SigningPurpose = {
  purpose: "feed_key",
  idPrefix: "fdk",
  event: "feed_key_changed",
  creates: "CreateFeedKey",
  rotates: "RotateFeedKey",
  made: "the key that signs feeds was made: verifiers can pin it",
};

/** How long a successor is announced before it signs, in ms, unless that is forced. */
export const feedKeyLeadMs = 24 * 3_600_000;
/** Keys that are told to verifiers, the latest. */
const toldMax = 64;

/** What is kept with a feed key. */
export interface AboutFeedKey {
  /** From when on it signs, ms since the epoch. */
  readonly activateTimeMs: number;
  /** By whom it was announced, and that key's signature in base64url; absent for a store's first one. */
  readonly predecessorId?: string;
  readonly predecessorSignature?: string;
}

export type FeedSecret = SigningSecret<AboutFeedKey>;

/** What tells events of feeds signs them with. */
export interface FeedKeys {
  /** undefined: no feed key is loaded here. */
  sign(statement: Uint8Array): FeedSignature | undefined;
  /** Those that verifiers are told, the oldest first. */
  readonly told: readonly FeedKey[];
  /** Calls back when others are to be told. */
  onChanged(listener: () => void): void;
}

export interface FeedKeyRingDeps extends Omit<FollowedSecretsDeps, "what" | "log"> {
  readonly store: Pick<StoreReads, "listSealedSecrets">;
  readonly masterKeys: MasterKeys;
  /** Ms since the epoch. */
  readonly now: () => number;
  readonly log: { info(fields: object, message: string): void; error(fields: object, message: string): void };
}

/** The store's feed keys as the change log tells them; which one signs is a matter of the time, on all servers alike. */
export class FeedKeyRing implements FeedKeys {
  readonly #deps: FeedKeyRingDeps;
  readonly #keys: FollowedSecrets<readonly FeedSecret[]>;
  #told: readonly FeedKey[] = [];
  #latestMs = 0;
  #onChanged = () => {};

  /** Follows the log from now on; `load` makes it complete. */
  constructor(deps: FeedKeyRingDeps) {
    this.#deps = deps;
    const { store, masterKeys, log } = deps;
    const read = async () => {
      const { keys, someSealed } = await loadSigningSecrets<AboutFeedKey>(store, masterKeys, feedKey);
      if (someSealed && !keys.some(canSign)) log.error({}, "no feed key can be opened: feeds are sent unsigned");
      return { secrets: keys, changesInMs: undefined };
    };
    this.#keys = new FollowedSecrets({ ...deps, what: "the feed keys" }, read, () => this.#tell());
  }

  /** Reads them, once the log is followed. Throws SECRET_NOT_LOADED for one that is damaged. */
  load(): Promise<void> {
    return this.#keys.load();
  }

  get told(): readonly FeedKey[] {
    return this.#told;
  }

  onChanged(listener: () => void): void {
    this.#onChanged = listener;
  }

  sign(statement: Uint8Array): FeedSignature | undefined {
    // A clock that is set back lets none sign again that verifiers have left behind.
    this.#latestMs = Math.max(this.#latestMs, this.#deps.now());
    const signer = currentSigner(this.#keys.secrets ?? [], this.#latestMs);
    return signer && { signature: sign(null, statement, signer.privateKey), feedKeyId: signer.kid };
  }

  /** Ends what it would do later. */
  close(): void {
    this.#keys.close();
  }

  #tell(): void {
    const [newest] = this.#keys.secrets ?? [];
    const told = (this.#keys.secrets ?? []).slice(0, toldMax).map(toldKey).reverse();
    const before = this.#told;
    this.#told = told;
    if (told.length === before.length && told.every((key, i) => isSame(key, before[i]))) return;
    if (before.length > 0 && newest !== undefined) {
      const signsFrom = new Date(newest.about.activateTimeMs).toISOString();
      this.#deps.log.info({ kid: newest.kid, signsFrom }, "another feed key is told to verifiers");
    }
    this.#onChanged();
  }
}

/** The one that signs now: the newest whose time has come, else the oldest; `newestFirst`: all of them. */
export function currentSigner(newestFirst: readonly FeedSecret[], nowMs: number): Signer<AboutFeedKey> | undefined {
  const signers = newestFirst.filter(canSign);
  return signers.find(({ about }) => about.activateTimeMs <= nowMs) ?? signers.at(-1);
}

/** What is kept with a successor: the predecessor vouches for it. */
export function handedOver(
  predecessor: Signer<AboutFeedKey>,
  successor: PublicJwk,
  activateTimeMs: number,
): AboutFeedKey {
  const signature = sign(null, handoverBytes(keyBytes(successor)), predecessor.privateKey);
  return {
    activateTimeMs,
    predecessorId: predecessor.kid,
    predecessorSignature: signature.toString("base64url"),
  };
}

function toldKey({ publicJwk, about }: FeedSecret): FeedKey {
  const { predecessorId, predecessorSignature = "" } = about;
  if (predecessorId === undefined) return { publicKey: keyBytes(publicJwk) };
  const signature = Buffer.from(predecessorSignature, "base64url");
  return { publicKey: keyBytes(publicJwk), handover: { predecessorId, signature } };
}

function keyBytes({ x = "" }: PublicJwk): Uint8Array {
  return Buffer.from(x, "base64url");
}

function isSame(a: FeedKey, b: FeedKey | undefined): boolean {
  return b !== undefined && Buffer.compare(a.publicKey, b.publicKey) === 0;
}
