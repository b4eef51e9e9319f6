import { type KeyObject, verify } from "node:crypto";
import { type FeedKey, feedKeyId, importFeedKey, isHandedOver } from "../core/key-set/feed-key.ts";
import { type FeedSignature, type FeedStatement, feedStatementBytes } from "../core/key-set/feed-statement.ts";
import { clockSkewMsMax } from "./freshness.ts";

/** Keys that are looked at in one message. */
const toldKeysMax = 64;

/** What was told isn't signed by a feed key that is believed, or is older than what was told before; it isn't applied. */
export class EventRefused extends Error {
  override readonly name = "EventRefused";
}

/** Whose key set is followed. */
export interface Identity {
  readonly tenantId: string;
  readonly issuer: string;
}

/** Of whom events are believed. */
export interface TrustOptions {
  /** Thumbprints of feed keys; `learn`: those that are told first. */
  readonly feedKeys: readonly string[] | "learn";
  /** The issuer whose feeds are believed; absent with `learn`: the first. */
  readonly issuer: string | undefined;
}

interface KnownKey {
  readonly told: FeedKey;
  readonly key: KeyObject;
  /** Who handed over to it, and was believed. */
  readonly predecessorId: string | undefined;
}

/**
 * Believes events of feeds by their signatures alone, whoever hands them on: those of keys that are pinned, and of keys that
 * such a one has handed over to. Once a successor has signed, its predecessors aren't believed any more.
 */
export class FeedTrust {
  readonly #learns: boolean;
  #issuer: string | undefined;
  #tenantId: string | undefined;
  #stream: Identity = { issuer: "", tenantId: "" };
  /** Thumbprints that are believed, whether their key is known yet or not. */
  readonly #believed: Set<string>;
  readonly #superseded = new Set<string>();
  /** Keys that are believed or were. */
  readonly #known = new Map<string, KnownKey>();
  #signedBy = "";
  /** As of when each feed of this stream was told to be. */
  readonly #asOfMs = new Map<string, number>();

  constructor({ feedKeys, issuer }: TrustOptions) {
    this.#learns = feedKeys === "learn";
    this.#issuer = issuer;
    this.#believed = new Set(feedKeys === "learn" ? [] : feedKeys);
  }

  /** Keys that are believed, and those that they followed; what `take` takes. */
  get known(): readonly FeedKey[] {
    return [...this.#known.values()].map(({ told }) => told);
  }

  /** Thumbprint of the key that signed the last event that was believed; empty: none was. */
  get signedBy(): string {
    return this.#signedBy;
  }

  /** A stream begins. Throws EventRefused if it is of another issuer or tenant. */
  begin(identity: Identity): void {
    const { issuer, tenantId } = identity;
    if (issuer !== (this.#issuer ?? issuer)) throw new EventRefused(`the stream is of issuer ${issuer.slice(0, 255)}`);
    if (tenantId !== (this.#tenantId ?? tenantId)) throw new EventRefused("the stream is of another tenant");
    this.#stream = identity;
    this.#asOfMs.clear();
  }

  /** Takes what is told of feed keys, the oldest first; leaves alone those that nobody vouches for. Throws EventRefused. */
  take(told: readonly FeedKey[]): void {
    if (told.length > toldKeysMax) throw new EventRefused("too many feed keys are told");
    const learns = this.#learns && this.#believed.size === 0;
    for (const one of told) {
      if (one.publicKey.length !== 32) throw new EventRefused("what is told as a feed key is none");
      const id = feedKeyId(one.publicKey);
      if (this.#superseded.has(id)) continue;
      const predecessorId = this.#voucherOf(one);
      if (learns || predecessorId !== undefined) this.#believed.add(id);
      // Whom it followed, once that was said, isn't forgotten because somebody leaves it out.
      if (!this.#believed.has(id) || this.#known.get(id)?.predecessorId !== undefined) continue;
      this.#known.set(id, { told: one, key: importFeedKey(one.publicKey), predecessorId });
    }
  }

  /** Throws EventRefused unless a key that is believed has signed this for the stream's issuer and tenant. */
  check({ signature, feedKeyId: id }: FeedSignature, told: Omit<FeedStatement, keyof Identity>): void {
    const known = this.#believed.has(id) ? this.#known.get(id) : undefined;
    if (known === undefined) {
      const by = id === "" ? "by nobody" : `by ${id.slice(0, 64)}, which isn't believed`;
      throw new EventRefused(`the ${told.kind} is signed ${by}`);
    }
    if (!verify(null, statementOf({ ...told, ...this.#stream }), known.key, signature)) {
      throw new EventRefused(`the signature of the ${told.kind} is wrong`);
    }
    const before = this.#asOfMs.get(told.feed) ?? Number.NEGATIVE_INFINITY;
    if (told.asOfMs < before - clockSkewMsMax)
      throw new EventRefused(`the ${told.kind} is older than what came before`);
    this.#asOfMs.set(told.feed, Math.max(before, told.asOfMs));
    this.accept(id);
  }

  /** Notes by which key something is signed that is believed. Throws EventRefused if that isn't. */
  accept(id: string): void {
    if (!this.#believed.has(id)) throw new EventRefused("it was signed by no key that is believed");
    this.#signedBy = id;
    this.#issuer ??= this.#stream.issuer;
    this.#tenantId ??= this.#stream.tenantId;
    let old = this.#known.get(id)?.predecessorId;
    while (old !== undefined && old !== id && this.#believed.delete(old)) {
      this.#superseded.add(old);
      old = this.#known.get(old)?.predecessorId;
    }
  }

  /** The believed key that hands over to this one. */
  #voucherOf(one: FeedKey): string | undefined {
    const { predecessorId = "" } = one.handover ?? {};
    const predecessor = this.#believed.has(predecessorId) ? this.#known.get(predecessorId) : undefined;
    return predecessor && isHandedOver(one, predecessor.key) ? predecessorId : undefined;
  }
}

function statementOf(told: FeedStatement): Uint8Array {
  try {
    return feedStatementBytes(told);
  } catch (cause) {
    throw new EventRefused(`the ${told.kind} is none that a server tells`, { cause });
  }
}
