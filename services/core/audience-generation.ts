import { tokenMemoryMs } from "./signing-key.ts";

/** One generation of an audience's macaroon key. */
export interface AudienceGeneration {
  readonly audience: string;
  /** From 1. */
  readonly generation: number;
  /** When its macaroons stop verifying, ms since the epoch; absent for the one that signs. */
  readonly endTimeMs?: number;
}

/** Gives the generations that verify at `nowMs`, the one that signs last. An audience that was never rotated has the first. */
export function liveGenerations(
  audience: string,
  stored: readonly AudienceGeneration[],
  nowMs: number,
): readonly AudienceGeneration[] {
  if (stored.length === 0) return [{ audience, generation: 1 }];
  return [...stored]
    .filter(({ endTimeMs }) => endTimeMs === undefined || nowMs < endTimeMs)
    .sort((a, b) => a.generation - b.generation);
}

/**
 * Gives the generations after a rotation. Earlier ones verify until the last macaroon that they signed has ended, or,
 * with `revokePrevious`, no longer; those that have ended are dropped.
 */
export function nextGeneration(
  audience: string,
  stored: readonly AudienceGeneration[],
  nowMs: number,
  revokePrevious: boolean,
): readonly AudienceGeneration[] {
  const live = liveGenerations(audience, stored, nowMs);
  const newest = live.at(-1)?.generation ?? 0;
  const endMs = nowMs + tokenMemoryMs;
  const ending = live.map((one) => ({ ...one, endTimeMs: Math.min(one.endTimeMs ?? endMs, endMs) }));
  return [...(revokePrevious ? [] : ending), { audience, generation: newest + 1 }];
}
