import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import type { ChainEntry, ChainPosition } from "../core/audit/check-chain.ts";
import { believedKeys, type SignedCheckpoint } from "../core/audit/checkpoint.ts";
import { describeFault, TrailCheck, type TrailFault } from "../core/audit/trail-check.ts";
import { genesisHash } from "../core/change-chain.ts";
import { auditEventFromProto, chainEntryOf } from "../wire/audit.ts";
import { readEntry } from "./audit-lines.ts";
import { CommandEnd, exitStatus } from "./io.ts";

/** What a check has found. */
export interface VerifyReport {
  /** What is wrong first. */
  readonly fault?: string;
  readonly verifiedRevision: bigint;
  readonly checkpointsCompared: number;
  /** Thumbprints of the keys whose statements were believed. */
  readonly keys?: readonly string[];
  /** What else a reader must know. */
  readonly notes?: readonly string[];
}

/** Entries that are checked together: one that changed places is recognised among them. */
const batchSize = 1000;

/**
 * Checks an export in JSON lines: every event against its link, every link against the one before, and all against
 * checkpoints. Of other tenants' revisions it holds digests, which is all that the chain needs.
 */
export async function verifyExport(
  path: string,
  kept: readonly SignedCheckpoint[],
  keys: readonly string[] | undefined,
): Promise<VerifyReport> {
  const believed = believedOffline(kept, keys);
  const statements = kept.filter(({ kid }) => believed.has(kid));
  let check: TrailCheck | undefined;
  let fault: TrailFault | undefined;
  let batch: ChainEntry[] = [];
  const flush = () => {
    fault ??= check?.take(batch);
    batch = [];
  };
  const notes: string[] = [];
  for await (const entry of entriesOf(path)) {
    if (check === undefined) {
      const from = startOf(entry);
      check = new TrailCheck(from, statements);
      if (from.revision > 0n) notes.push(`revision ${from.revision} and those before it aren't checked`);
      if (from.revision === entry.revision) continue;
    }
    const expected = (batch.at(-1)?.revision ?? check.at.revision) + 1n;
    // What was cut out of the file is a removed entry like any other.
    if (entry.revision !== expected) batch.push({ revision: expected });
    else batch.push(entry);
    if (batch.length >= batchSize || entry.revision !== expected) flush();
    if (fault !== undefined) break;
  }
  flush();
  if (check === undefined) throw new CommandEnd(exitStatus.usage, `${path} holds no entry`);
  const { at, compared } = check;
  const later = statements.filter(({ revision }) => revision > at.revision).length;
  if (later > 0 && fault === undefined) notes.push(`${later} checkpoints tell of later revisions than the file has`);
  if (believed.size < new Set(kept.map(({ kid }) => kid)).size)
    notes.push("some statements are of keys that aren't believed");
  return {
    ...(fault && { fault: describeFault(fault) }),
    verifiedRevision: at.revision,
    checkpointsCompared: compared,
    keys: [...believed],
    notes,
  };
}

/** The genesis, or the first entry itself if the file begins later. */
function startOf({ revision, change }: ChainEntry): ChainPosition {
  if (revision === 1n) return { revision: 0n, hash: genesisHash };
  return { revision, hash: change?.hash ?? genesisHash };
}

async function* entriesOf(path: string): AsyncIterable<ChainEntry> {
  let number = 0;
  try {
    for await (const line of createInterface({ input: createReadStream(path) })) {
      number += 1;
      const { link, event } = readEntry(line) ?? {};
      if (link === undefined) throw new CommandEnd(exitStatus.usage, `${path}, line ${number}: no link of the chain`);
      yield chainEntryOf(link, event && auditEventFromProto(event));
    }
  } catch (error) {
    if (error instanceof CommandEnd) throw error;
    throw new CommandEnd(exitStatus.usage, `${path} can't be read (${(error as NodeJS.ErrnoException).code})`);
  }
}

/** Who is believed without a server: the keys that were named, else the first that signed. */
function believedOffline(kept: readonly SignedCheckpoint[], keys: readonly string[] | undefined) {
  const [first] = [...kept].sort((a, b) => (a.number < b.number ? -1 : 1));
  return believedKeys(kept, keys ?? (first === undefined ? [] : [first.kid]));
}
