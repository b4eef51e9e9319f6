import { byItself } from "../core/audit-event.ts";
import { currentPepper, pepperLeadMs } from "../core/current-pepper.ts";
import { IchorError } from "../core/errors.ts";
import type { TenantId } from "../core/ids.ts";
import { recordLifetimeMs } from "../core/repeat-lifetimes.ts";
import { defaultTenantSlug } from "../core/tenant.ts";
import type { Mutation, PepperUse, SealedSecret, Store, StoreReads } from "../store/port.ts";
import { newerFirst } from "./loaded-secrets.ts";
import type { MasterKeys } from "./master-key.ts";
import { createPepper, pepperPurpose } from "./peppers.ts";

export interface PepperRotationDeps {
  readonly store: Store;
  /** Ms since the epoch. */
  readonly now: () => number;
}

/** What would be lost with a pepper. */
export interface PepperLoss extends Omit<PepperUse, "pepperId"> {
  /** Calls of the last day whose repeats wouldn't be known as such; those of around a change count for both peppers. */
  readonly repeats: number;
}

/** How a retirement ended; `loss` is what was lost, or what would be. */
export type Retirement = { readonly outcome: "retired" | "in_use" | "current" | "unknown"; readonly loss: PepperLoss };

const noLoss: PepperLoss = { live: 0, dead: 0, tombstones: 0, repeats: 0 };

/** Adds a pepper, which becomes the current one after `pepperLeadMs`; gives its id. */
export async function addPepper(
  { store, now }: PepperRotationDeps,
  masterKeys: MasterKeys,
  random: (size: number) => Uint8Array,
): Promise<string> {
  const { pepper, row } = createPepper(masterKeys, now(), random);
  await store.mutate(async (tx): Promise<Mutation<void>> => {
    await tx.insertSealedSecret(row);
    return {
      result: undefined,
      change: { kind: "secret", event: "pepper_added" },
      audit: byItself(await homeOf(tx), "AddPepper", pepper.id),
    };
  });
  return pepper.id;
}

/**
 * Erases a pepper that isn't the current one, unless something is bound to it; with `force` whatever is: secrets that are
 * bound to it can't be checked any more. Decided in the transaction that erases it, so that nothing is bound meanwhile.
 */
export async function retirePepper(
  { store, now }: PepperRotationDeps,
  pepperId: string,
  force: boolean,
): Promise<Retirement> {
  const loss = await lossOf(store, pepperId, now());
  if (!force && isLoss(loss)) return { outcome: (await standing(store, pepperId, now())) ?? "in_use", loss };
  const { result } = await store.mutate(async (tx): Promise<Mutation<Retirement>> => {
    const refused = await standing(tx, pepperId, now());
    if (refused !== undefined) return { result: { outcome: refused, loss }, unchanged: true };
    // Before the last look: a secret that is being bound to it holds its row, and is seen once that is over.
    await tx.deleteSealedSecret(pepperId);
    if (!force && (await tx.isPepperBound(pepperId))) return { result: { outcome: "in_use", loss }, unchanged: true };
    return {
      result: { outcome: "retired", loss },
      change: { kind: "secret", event: "pepper_retired" },
      audit: byItself(await homeOf(tx), "RetirePepper", pepperId),
    };
  });
  return result;
}

/** Why a pepper can't be retired, whatever is bound to it; undefined: it can. */
async function standing(
  reads: StoreReads,
  pepperId: string,
  nowMs: number,
): Promise<"unknown" | "current" | undefined> {
  const newestFirst = await peppersOf(reads);
  const at = newestFirst.findIndex(({ id }) => id === pepperId);
  if (at < 0) return "unknown";
  return at <= newestFirst.indexOf(currentPepper(newestFirst, nowMs) as SealedSecret) ? "current" : undefined;
}

async function lossOf(store: Store, pepperId: string, nowMs: number): Promise<PepperLoss> {
  const newestFirst = await peppersOf(store);
  const at = newestFirst.findIndex(({ id }) => id === pepperId);
  const pepper = newestFirst[at];
  if (pepper === undefined) return noLoss;
  const { pepperId: _, ...use } = (await store.secretUse(nowMs)).peppers.find((one) => one.pepperId === pepperId) ?? {
    pepperId,
    ...noLoss,
  };
  const untilMs = (newestFirst[at - 1]?.createTimeMs ?? nowMs) + 2 * pepperLeadMs;
  const fromMs = Math.max(pepper.createTimeMs, nowMs - recordLifetimeMs);
  return { ...use, repeats: await store.countIdempotencyRecords(fromMs, untilMs) };
}

function isLoss(loss: PepperLoss): boolean {
  return Object.values(loss).some((count) => count > 0);
}

async function peppersOf(reads: StoreReads): Promise<readonly SealedSecret[]> {
  return [...(await reads.listSealedSecrets(pepperPurpose))].sort(newerFirst);
}

/** The tenant whose audit trail tells what concerns the whole store. */
async function homeOf(reads: StoreReads): Promise<TenantId> {
  const home = await reads.getTenantBySlug(defaultTenantSlug);
  if (home === undefined) throw new IchorError("TENANT_NOT_FOUND", "the store was never started");
  return home.id;
}
