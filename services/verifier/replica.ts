import { randomInt } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { KeySetItems, WatchKeySetResponse } from "../../gen/ichor/v1/key_set_pb.ts";
import { applyInTurns } from "../core/key-set/apply-in-turns.ts";
import { ContentHash, contentHashOf } from "../core/key-set/content-hash.ts";
import type { Position } from "../core/key-set/feed.ts";
import type { FeedSignature, FeedStatement } from "../core/key-set/feed-statement.ts";
import { emptyDelta, type KeySetDelta } from "../core/key-set/key-set-delta.ts";
import { KeySetState } from "../core/key-set/key-set-state.ts";
import { keySetItemsFromProto } from "../wire/key-set.ts";
import { fromTimestamp } from "../wire/time.ts";
import type { VerifierClock } from "./clock.ts";
import { EventRefused, type FeedTrust } from "./feed-trust.ts";
import { Freshness } from "./freshness.ts";

type WatchEvent = WatchKeySetResponse["event"];
/** An event with what signs it, if something does. */
export type SignedEvent = Pick<WatchKeySetResponse, "event"> & Partial<FeedSignature>;
/** What an event of a feed tells of where it stands. */
type Told = Extract<WatchEvent, { case: "delta" | "heartbeat" | "snapshotEnd" }>["value"];

const none = new Uint8Array(0);
/** Entries that room is made for before they have come, whatever the server promises. */
const expectedEntriesMax = 4_000_000;
/** Entries of a snapshot that are taken from who isn't believed, until its end is. */
const uncheckedEntriesMax = 2 ** 24;

/** The stream broke its contract, or what is known can't be brought up to date: the feed must begin anew. */
export class ResyncNeeded extends Error {
  override readonly name = "ResyncNeeded";
}

/** The server is behind what is known here: another one must be asked, or this one later. */
export class ServerBehind extends Error {
  override readonly name = "ServerBehind";
}

/** A snapshot that isn't complete. */
interface Draft {
  readonly state: KeySetState;
  readonly storeEpoch: string;
  readonly content: ContentHash;
  /** How many entries may still come, by what its beginning said; each part counts for one at least. */
  entriesLeft: number;
}

/** One feed as it was told: its state, how far it is, and how fresh. */
export class FeedReplica {
  readonly name: string;
  readonly freshness: Freshness;
  readonly #trust: Pick<FeedTrust, "check"> | undefined;
  /** Counts changes of keys, so that what was derived from them can be dropped. */
  keysVersion = 0;
  #state = new KeySetState(0);
  #position: Position | undefined;
  #storeEpoch = "";
  #draft: Draft | undefined;
  #resumable = false;
  #asOfMs = 0;
  /** The latest that was told. */
  #toldAsOfMs = 0;
  /** Up to which revision the stream tells what was: that makes nothing fresh. */
  #catchUpTo = 0n;

  /** @param trust says which events are believed; absent: all are, for who told them */
  constructor(name: string, clock: VerifierClock, trust?: Pick<FeedTrust, "check">) {
    this.name = name;
    this.#trust = trust;
    this.freshness = new Freshness(clock);
  }

  get state(): KeySetState {
    return this.#state;
  }

  /** undefined: it was never complete. */
  get position(): Position | undefined {
    return this.#position;
  }

  /** As of when all was known, by the server's clock, ms since the epoch. */
  get asOfMs(): number {
    return this.#asOfMs;
  }

  /** From where to go on; undefined: from a snapshot. */
  get resumePoint(): Position | undefined {
    return this.#resumable ? this.#position : undefined;
  }

  /** Another stream begins: it says itself whether it tells what was. */
  streamBegins(): void {
    this.#catchUpTo = 0n;
  }

  /** What is known stays in use, but the next stream begins with a snapshot. */
  forgetPosition(): void {
    this.#resumable = false;
  }

  /** Takes an event of a snapshot, all at once: what a file brings back at the start, and vouches for. Throws as `take`. */
  takeNow(event: WatchEvent): void {
    if (event.case === "snapshotBegin") this.#begin(event.value);
    else if (event.case === "snapshotEnd") this.#complete(event.value);
    else if (event.case === "snapshotItems" && event.value.items) {
      this.#draft?.state.apply(keySetItemsFromProto(event.value.items));
    }
  }

  /** Takes an event of this feed; throws ResyncNeeded, ServerBehind, EventRefused. */
  async take({ event, signature = none, feedKeyId = "" }: SignedEvent): Promise<void> {
    const signed = { signature, feedKeyId };
    switch (event.case) {
      case "snapshotBegin":
        return this.#begin(event.value);
      case "snapshotItems":
        return this.#addToDraft(itemsOf(event.value));
      case "snapshotEnd":
        return this.#complete(event.value, signed);
      case "delta": {
        const delta = itemsOf(event.value);
        this.#check("delta", signed, event.value, this.#storeEpoch, () => contentHashOf(delta));
        this.#requireNext(event.value);
        return this.#change(event.value, delta);
      }
      case "heartbeat":
        this.#check("heartbeat", signed, event.value, this.#storeEpoch, () => contentHashOf());
        this.#requireNext(event.value);
        return this.#moveTo(event.value);
      case "catchUp":
        this.#catchUpTo = event.value.revision;
    }
  }

  #begin({
    revision,
    markCount,
    revokedTokenCount,
    storeEpoch,
  }: Extract<WatchEvent, { case: "snapshotBegin" }>["value"]): void {
    this.#requireNotBehind(storeEpoch, revision);
    const room = (count: bigint) => Math.min(Number(count), expectedEntriesMax);
    const state = new KeySetState(randomInt(2 ** 32), { marks: room(markCount), tokens: room(revokedTokenCount) });
    const entries = Number(markCount + revokedTokenCount);
    if (this.#trust && entries > uncheckedEntriesMax) throw new EventRefused("the snapshot is too large");
    this.#draft = { state, storeEpoch, content: new ContentHash(), entriesLeft: entries + 1 };
  }

  async #addToDraft(part: KeySetDelta): Promise<void> {
    if (this.#draft === undefined) throw new ResyncNeeded("items came without a snapshot");
    if (this.#trust !== undefined) {
      this.#draft.entriesLeft -= Math.max(1, entriesOf(part));
      // Or else memory could be filled with what is thrown away in the end.
      if (this.#draft.entriesLeft < 0) throw new EventRefused("the snapshot has more parts than it began with");
      this.#draft.content.add(part);
    }
    await applyInTurns(this.#draft.state, part, nextTurn);
  }

  #complete(told: Told, signed?: FeedSignature): void {
    const draft = this.#draft;
    this.#draft = undefined;
    if (draft === undefined) throw new ResyncNeeded("a snapshot ended that had not begun");
    const { state, storeEpoch, content } = draft;
    if (signed !== undefined) this.#check("snapshot", signed, told, storeEpoch, () => content.digest());
    // What said where it begins wasn't signed.
    this.#requireNotBehind(storeEpoch, told.revision);
    this.#requireLaterHistory(storeEpoch, told);
    if (!sameBytes(state.digest, told.digest)) throw new ResyncNeeded("the snapshot's digest is another one");
    this.#state = state;
    if (storeEpoch !== this.#storeEpoch) this.#asOfMs = 0;
    this.#storeEpoch = storeEpoch;
    this.keysVersion++;
    this.#moveTo(told);
  }

  async #change(told: Told, delta: KeySetDelta): Promise<void> {
    await applyInTurns(this.#state, delta, nextTurn);
    if (delta.signingKeys !== undefined || delta.audienceKeys !== undefined) this.keysVersion++;
    this.#moveTo(told);
  }

  /** Before anything of it is applied. */
  #check(
    kind: FeedStatement["kind"],
    signed: FeedSignature,
    told: Told,
    storeEpoch: string,
    contentHash: () => Uint8Array,
  ): void {
    if (this.#trust === undefined) return;
    const { feed, revision, hash, digest } = told;
    const asOfMs = (told.asOf && fromTimestamp(told.asOf)) ?? 0;
    const place = { feed, storeEpoch, prevRevision: "prevRevision" in told ? told.prevRevision : 0n, revision };
    this.#trust.check(signed, { kind, ...place, hash, digest, asOfMs, contentHash: contentHash() });
  }

  #requireNotBehind(storeEpoch: string, revision: bigint): void {
    const known = this.#position;
    if (known?.storeEpoch === storeEpoch && revision < known.revision) {
      throw new ServerBehind(`the server stands at revision ${revision}, behind ${known.revision}`);
    }
  }

  /** A history ends for good: whoever still tells it hasn't seen the one that is known here. */
  #requireLaterHistory(storeEpoch: string, { asOf }: Told): void {
    if (this.#position === undefined || this.#storeEpoch === storeEpoch) return;
    if (((asOf && fromTimestamp(asOf)) ?? 0) >= this.#toldAsOfMs) return;
    throw new ServerBehind("the server tells a history from before the one that is known");
  }

  #requireNext({ prevRevision, revision }: Extract<Told, { prevRevision: bigint }>): void {
    const known = this.#position;
    if (known === undefined || known.revision !== prevRevision || revision < prevRevision) {
      this.#resumable = false;
      throw new ResyncNeeded(
        `the feed goes on from revision ${prevRevision}, and stands at ${known?.revision ?? "none"}`,
      );
    }
  }

  #moveTo({ revision, hash, digest, asOf }: Told): void {
    if (!sameBytes(this.#state.digest, digest)) {
      this.#resumable = false;
      throw new ResyncNeeded("the digest is another one");
    }
    this.#position = { revision, hash, storeEpoch: this.#storeEpoch };
    this.#resumable = true;
    const asOfMs = asOf && fromTimestamp(asOf);
    if (asOfMs === undefined) return;
    this.#toldAsOfMs = Math.max(this.#toldAsOfMs, asOfMs);
    // What was known as of later, by another server, is known still.
    if (revision < this.#catchUpTo || asOfMs < this.#asOfMs) return;
    if (this.freshness.arrived(asOfMs)) this.#asOfMs = asOfMs;
  }
}

function entriesOf({ marks, revokedTokens, forgottenTokens, changedKeys }: KeySetDelta): number {
  return marks.length + (revokedTokens.length + forgottenTokens.length + changedKeys.length) / 16;
}

function itemsOf({ items }: { readonly items?: KeySetItems | undefined }): KeySetDelta {
  return items ? keySetItemsFromProto(items) : emptyDelta;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
