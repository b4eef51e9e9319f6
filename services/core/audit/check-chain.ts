import type { AuditEvent } from "../audit-event.ts";
import type { ChainHash } from "../change.ts";
import { auditBytes, chainHash } from "../change-chain.ts";
import { sha256 } from "../digest.ts";

/** What the log holds of a change. */
export interface LoggedChange {
  /** Of the log up to and including it. */
  readonly hash: ChainHash;
  /** SHA-256 of the payload, 32 bytes. */
  readonly changeDigest: Uint8Array;
  /** The encoded change; absent once compacted. */
  readonly payload?: Uint8Array | undefined;
}

/**
 * What there is of a revision: both parts, unless someone removed one. The event stands there as its digest for whoever
 * may not read it.
 */
export interface ChainEntry {
  readonly revision: bigint;
  readonly change?: LoggedChange | undefined;
  readonly event?: AuditEvent | { readonly digest: Uint8Array } | undefined;
}

/** Where a chain was found right up to. */
export interface ChainPosition {
  readonly revision: bigint;
  readonly hash: ChainHash;
}

/**
 * What is wrong: a part of the entry is `REMOVED`; its content isn't what was committed (`CHANGED`); it holds what
 * belongs to another revision (`REORDERED`).
 */
export type EntryFaultKind = "REMOVED" | "CHANGED" | "REORDERED";

/** The first revision that is wrong, and how. */
export interface EntryFault {
  readonly kind: EntryFaultKind;
  readonly revision: bigint;
  /** As far as it can be told: the change, the audit event, or the whole entry. */
  readonly part: "change" | "event" | "entry";
  /** Whose content this revision holds, if it is REORDERED. */
  readonly otherRevision?: bigint;
}

/** How a check ended: `at` is the last revision that is right. */
export interface ChainCheck {
  readonly at: ChainPosition;
  readonly fault?: EntryFault;
}

/**
 * Checks entries that follow `from`, each with the revision after the one before, up to the first that is wrong. Only
 * what is among these entries is recognised as REORDERED; elsewhere it is CHANGED.
 */
export function checkChain(from: ChainPosition, entries: readonly ChainEntry[]): ChainCheck {
  let at = from;
  for (const [i, entry] of entries.entries()) {
    if (entry.revision !== at.revision + 1n) throw new TypeError("the entries must follow each other");
    const fault = faultOf(at, entries, i);
    if (fault !== undefined) return { at, fault };
    at = { revision: entry.revision, hash: (entry.change as LoggedChange).hash };
  }
  return { at };
}

function faultOf(at: ChainPosition, entries: readonly ChainEntry[], i: number): EntryFault | undefined {
  const { revision, change, event } = entries[i] as ChainEntry;
  if (change === undefined || event === undefined) {
    const part = event !== undefined ? "change" : change !== undefined ? "event" : "entry";
    return { kind: "REMOVED", revision, part };
  }
  const right = equal(change.hash, hashOf(at.hash, revision, change, event));
  const { payload, changeDigest } = change;
  const payloadRight = payload === undefined || equal(sha256(payload), changeDigest);
  if (right && payloadRight) return undefined;
  const otherRevision = trueOwner(at, entries, i);
  if (otherRevision !== undefined) return { kind: "REORDERED", revision, part: "entry", otherRevision };
  if (!payloadRight) return { kind: "CHANGED", revision, part: "change" };
  return { kind: "CHANGED", revision, part: followsFrom(change, entries[i + 1]) ? "event" : "entry" };
}

/** Whether the next entry stands on this one's stored hash: then that is right, and what it covers isn't. */
function followsFrom({ hash }: LoggedChange, next: ChainEntry | undefined): boolean {
  if (next?.change === undefined || next.event === undefined) return false;
  return equal(next.change.hash, hashOf(hash, next.revision, next.change, next.event));
}

/** The revision that changed places with this one, if with it the hash comes out right. */
function trueOwner(at: ChainPosition, entries: readonly ChainEntry[], i: number): bigint | undefined {
  const own = entries[i] as ChainEntry;
  const other = entries.find((candidate, j) => j > i && fitsHere(at, own, candidate));
  return other?.revision;
}

/** Tries every way to take some parts from the other revision. */
function fitsHere({ hash }: ChainPosition, own: ChainEntry, other: ChainEntry): boolean {
  if (other.change === undefined || other.event === undefined) return false;
  for (const change of [own.change, other.change])
    for (const event of [own.event, other.event])
      for (const target of [own.change, other.change]) {
        if (change === undefined || event === undefined || target === undefined) continue;
        if (change === own.change && event === own.event) continue;
        if (equal(hashOf(hash, own.revision, change, event), target.hash)) return true;
      }
  const { payload } = own.change ?? {};
  return payload !== undefined && equal(sha256(payload), other.change.changeDigest);
}

function hashOf(
  previous: ChainHash,
  revision: bigint,
  { changeDigest }: LoggedChange,
  event: NonNullable<ChainEntry["event"]>,
): ChainHash {
  const event32 = eventDigest(event);
  // Whoever can change a digest can also make it longer; no hash equals nothing.
  if ([previous, changeDigest, event32].some(({ length }) => length !== 32)) return new Uint8Array(0);
  return chainHash(previous, revision, changeDigest, event32);
}

/** SHA-256 of an audit event as the chain has it, 32 bytes. */
export function eventDigest(event: NonNullable<ChainEntry["event"]>): Uint8Array {
  return "digest" in event ? event.digest : sha256(auditBytes(event));
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === 32 && Buffer.compare(a, b) === 0;
}
