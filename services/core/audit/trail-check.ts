import { type ChainEntry, type ChainPosition, checkChain, type EntryFaultKind } from "./check-chain.ts";
import type { SignedCheckpoint } from "./checkpoint.ts";

/**
 * What is wrong with a trail: an entry (see EntryFaultKind); the head says another hash than the last entry
 * (`HEAD_CHANGED`); entries are gone from some revision on (`TAIL_CUT`); the log is right in itself, but another one than
 * a checkpoint tells of (`REWRITTEN`); a checkpoint is missing, or isn't the one that was signed.
 */
export type TrailFaultKind =
  | EntryFaultKind
  | "HEAD_CHANGED"
  | "TAIL_CUT"
  | "REWRITTEN"
  | "CHECKPOINT_REMOVED"
  | "CHECKPOINT_CHANGED";

/** The first thing that is wrong. */
export interface TrailFault {
  readonly kind: TrailFaultKind;
  /** The first revision that is wrong; with REWRITTEN the one of the checkpoint that says so. */
  readonly revision: bigint;
  /** Of an entry, as far as it can be told. */
  readonly part?: "change" | "event" | "entry";
  /** REORDERED: whose content it holds. REWRITTEN: the last revision that a checkpoint bears out; 0: none. */
  readonly otherRevision?: bigint;
  /** The checkpoint that says so, or that is wrong itself. */
  readonly checkpoint?: bigint;
}

/** Checks a trail page by page against checkpoints that are to be believed. */
export class TrailCheck {
  readonly #checkpoints: readonly SignedCheckpoint[];
  #at: ChainPosition;
  #borneOut = 0n;
  #compared = 0;
  #next = 0;

  /** `from`: what is right already; the genesis at first. */
  constructor(from: ChainPosition, checkpoints: readonly SignedCheckpoint[]) {
    this.#at = from;
    this.#checkpoints = [...checkpoints].sort((a, b) => (a.revision < b.revision ? -1 : 1));
  }

  /** Up to where the trail is right. */
  get at(): ChainPosition {
    return this.#at;
  }

  /** How many checkpoints bear it out. */
  get compared(): number {
    return this.#compared;
  }

  /** Compares the beginning with the checkpoints of its revision. */
  begin(): TrailFault | undefined {
    return this.#compare(this.#at);
  }

  /** Takes the entries that follow; gives the first fault among them. */
  take(entries: readonly ChainEntry[]): TrailFault | undefined {
    const { at, fault } = checkChain(this.#at, entries);
    for (const { revision, change } of entries) {
      if (revision > at.revision || change === undefined) break;
      const rewritten = this.#compare({ revision, hash: change.hash });
      if (rewritten !== undefined) return rewritten;
      this.#at = { revision, hash: change.hash };
    }
    return fault;
  }

  /** Says whether a checkpoint tells of revisions that aren't there: `last` is the last one that is. */
  missingAfter(last: bigint): TrailFault | undefined {
    const beyond = this.#checkpoints.find(({ revision }) => revision > last);
    return beyond && { kind: "TAIL_CUT", revision: last + 1n, checkpoint: beyond.number };
  }

  #compare({ revision, hash }: ChainPosition): TrailFault | undefined {
    for (; ; this.#next++) {
      const checkpoint = this.#checkpoints[this.#next];
      if (checkpoint === undefined || checkpoint.revision > revision) return undefined;
      if (checkpoint.revision < revision) continue;
      if (Buffer.compare(checkpoint.hash, hash) !== 0) {
        return { kind: "REWRITTEN", revision, otherRevision: this.#borneOut, checkpoint: checkpoint.number };
      }
      this.#borneOut = revision;
      this.#compared += 1;
    }
  }
}

/** Says what is wrong with an entry, for people. */
export function describeFault({ kind, revision, part, otherRevision, checkpoint }: TrailFault): string {
  switch (kind) {
    case "REMOVED":
      return `revision ${revision}: its ${part === "entry" ? "entry was" : part === "change" ? "change was" : "audit event was"} removed`;
    case "CHANGED":
      return `revision ${revision}: its ${part === "event" ? "audit event" : part} was changed`;
    case "REORDERED":
      return `revision ${revision}: it changed places with revision ${otherRevision}`;
    case "HEAD_CHANGED":
      return `revision ${revision}: the head doesn't stand where the log ends`;
    case "TAIL_CUT":
      return checkpoint === undefined
        ? `revision ${revision}: it and all that followed were cut off`
        : `revision ${revision}: it and all that followed were cut off; checkpoint ${checkpoint} tells of them`;
    case "REWRITTEN":
      return `revision ${revision}: checkpoint ${checkpoint} tells of another history; it is borne out up to revision ${otherRevision}`;
    case "CHECKPOINT_REMOVED":
      return `checkpoint ${checkpoint} was removed`;
    case "CHECKPOINT_CHANGED":
      return `checkpoint ${checkpoint} isn't one that was signed`;
  }
}
