import { believedKeys, readCheckpoint, type SignedCheckpoint } from "../core/audit/checkpoint.ts";
import type { TrailFault } from "../core/audit/trail-check.ts";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import type { CheckpointRow } from "../store/audit-port.ts";
import type { AdminDeps } from "./deps.ts";

/** The statements that a trail is compared with, and what is wrong with those that are stored. */
export interface BelievedStatements {
  readonly statements: readonly SignedCheckpoint[];
  readonly fault?: TrailFault;
}

/**
 * Reads the statements of stored checkpoints, which must be right and without a gap, and those that the caller kept. Only
 * those of keys that this store had are believed. `from`: where the check begins; the first of `stored` may be older.
 * Throws INVALID_FIELD for a kept one that isn't to be believed, SECRET_NOT_LOADED if a sealed key could be its.
 */
export async function believedStatements(
  { checkpointKeys }: Pick<AdminDeps, "checkpointKeys">,
  stored: readonly CheckpointRow[],
  kept: readonly string[],
  from: bigint,
): Promise<BelievedStatements> {
  const { keys, someSealed } = await checkpointKeys();
  const own = await Promise.all(stored.map((row) => readCheckpoint(row.statement)));
  const foreign = await Promise.all(kept.map(readCheckpoint));
  const read = [...own, ...foreign].flatMap((statement) => statement ?? []);
  const trusted = keys.map(({ kid }) => kid);
  const believed = believedKeys(read, trusted);
  const isBelieved = (statement: SignedCheckpoint | undefined): statement is SignedCheckpoint => {
    if (statement === undefined) return false;
    if (believed.has(statement.kid)) return true;
    if (someSealed)
      throw new IchorError("SECRET_NOT_LOADED", "a key of checkpoints is sealed: none can be told from others");
    return false;
  };
  const violations = new FieldViolations();
  foreign.forEach((statement, i) => {
    violations.require(isBelieved(statement), `checkpoints[${i}]`, "is not signed by a key of this store");
  });
  violations.throwIfAny();
  const fault = storedFault(stored, own, isBelieved, from);
  return { statements: read.filter(isBelieved), ...(fault && { fault }) };
}

function storedFault(
  stored: readonly CheckpointRow[],
  own: readonly (SignedCheckpoint | undefined)[],
  isBelieved: (statement: SignedCheckpoint | undefined) => boolean,
  from: bigint,
): TrailFault | undefined {
  const [first] = stored;
  // Without an older one, this is the first of all.
  let expected = first !== undefined && first.revision < from ? first.number : 1n;
  for (const [i, { number, revision }] of stored.entries()) {
    if (number !== expected) return { kind: "CHECKPOINT_REMOVED", revision, checkpoint: expected };
    const statement = own[i];
    const same = statement?.number === number && statement.revision === revision;
    if (!same || !isBelieved(statement)) return { kind: "CHECKPOINT_CHANGED", revision, checkpoint: number };
    expected += 1n;
  }
  return undefined;
}
