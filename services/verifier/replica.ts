import { randomInt } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { WatchKeySetResponse } from "../../gen/ichor/v1/key_set_pb.ts";
import { applyInTurns } from "../core/key-set/apply-in-turns.ts";
import type { Position } from "../core/key-set/feed.ts";
import { emptyDelta, type KeySetDelta } from "../core/key-set/key-set-delta.ts";
import { KeySetState } from "../core/key-set/key-set-state.ts";
import { keySetItemsFromProto } from "../wire/key-set.ts";
import { fromTimestamp } from "../wire/time.ts";
import type { VerifierClock } from "./clock.ts";
import { Freshness } from "./freshness.ts";

type WatchEvent = WatchKeySetResponse["event"];
/** What an event of a feed tells of where it stands. */
type Told = Extract<WatchEvent, { case: "delta" | "heartbeat" | "snapshotEnd" }>["value"];

/** Entries that room is made for before they have come, whatever the server promises. */
const expectedEntriesMax = 4_000_000;

/** The stream broke its contract, or what is known can't be brought up to date: the feed must begin anew. */
export class ResyncNeeded extends Error {
  override readonly name = "ResyncNeeded";
}

/** The server is behind what is known here: another one must be asked, or this one later. */
export class ServerBehind extends Error {
  override readonly name = "ServerBehind";
}

/** One feed as it was told: its state, how far it is, and how fresh. */
export class FeedReplica {
  readonly name: string;
  readonly freshness: Freshness;
  /** Counts changes of keys, so that what was derived from them can be dropped. */
  keysVersion = 0;
  #state = new KeySetState(0);
  #position: Position | undefined;
  #storeEpoch = "";
  #draft: KeySetState | undefined;
  #draftEpoch = "";
  #resumable = false;
  #asOfMs = 0;

  constructor(name: string, clock: VerifierClock) {
    this.name = name;
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

  /** What is known stays in use, but the next stream begins with a snapshot. */
  forgetPosition(): void {
    this.#resumable = false;
  }

  /** Takes an event of a snapshot, all at once: what a file brings back at the start. Throws as `take`. */
  takeNow(event: WatchEvent): void {
    if (event.case === "snapshotBegin") this.#begin(event.value);
    else if (event.case === "snapshotEnd") this.#complete(event.value);
    else if (event.case === "snapshotItems" && event.value.items) {
      this.#draft?.apply(keySetItemsFromProto(event.value.items));
    }
  }

  /** Takes an event of this feed; throws ResyncNeeded, ServerBehind. */
  async take(event: WatchEvent): Promise<void> {
    switch (event.case) {
      case "snapshotBegin":
        return this.#begin(event.value);
      case "snapshotItems":
        if (this.#draft === undefined) throw new ResyncNeeded("items came without a snapshot");
        return applyInTurns(
          this.#draft,
          event.value.items ? keySetItemsFromProto(event.value.items) : emptyDelta,
          nextTurn,
        );
      case "snapshotEnd":
        return this.#complete(event.value);
      case "delta":
        this.#requireNext(event.value);
        return this.#change(event.value, event.value.items ? keySetItemsFromProto(event.value.items) : emptyDelta);
      case "heartbeat":
        this.#requireNext(event.value);
        return this.#moveTo(event.value);
    }
  }

  #begin({
    revision,
    markCount,
    revokedTokenCount,
    storeEpoch,
  }: Extract<WatchEvent, { case: "snapshotBegin" }>["value"]): void {
    const known = this.#position;
    if (known?.storeEpoch === storeEpoch && revision < known.revision) {
      throw new ServerBehind(`the server stands at revision ${revision}, behind ${known.revision}`);
    }
    const room = (count: bigint) => Math.min(Number(count), expectedEntriesMax);
    this.#draftEpoch = storeEpoch;
    this.#draft = new KeySetState(randomInt(2 ** 32), { marks: room(markCount), tokens: room(revokedTokenCount) });
  }

  #complete(told: Told): void {
    const draft = this.#draft;
    this.#draft = undefined;
    this.#storeEpoch = this.#draftEpoch;
    if (draft === undefined || !sameBytes(draft.digest, told.digest)) {
      throw new ResyncNeeded("the snapshot's digest is another one");
    }
    this.#state = draft;
    this.keysVersion++;
    this.#moveTo(told);
  }

  async #change(told: Told, delta: KeySetDelta): Promise<void> {
    await applyInTurns(this.#state, delta, nextTurn);
    if (delta.signingKeys !== undefined || delta.audienceKeys !== undefined) this.keysVersion++;
    this.#moveTo(told);
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
    this.#asOfMs = asOfMs;
    this.freshness.arrived(asOfMs);
  }
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
