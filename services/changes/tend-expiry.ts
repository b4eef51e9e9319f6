import { byItself } from "../core/audit-event.ts";
import type { ExpiryPlace } from "../store/expiry-port.ts";
import type { Mutation, Store } from "../store/port.ts";

/** Audit action of a key that ends soon: its lead has begun. */
export const expiringAction = "ApiKeyExpiring";
/** Audit action of a key that has ended. */
export const expiredAction = "ApiKeyExpired";

/** Most events of one look: the rest waits for the next, so that a million keys that end together don't hold up the store. */
export const expiryEventsMax = 500;

export interface ExpiryDeps {
  readonly store: Pick<Store, "mutate" | "expiry">;
  /** How long before its end each key is told, in ms. */
  readonly leadsMs: readonly number[];
  /** Ms since the epoch. */
  readonly now: () => number;
}

/**
 * Tells of keys that end soon, once with each lead, and of those that have ended, by an event of the audit trail each. A
 * cursor goes over the keys in the order of their ends and moves with each event, in its transaction: so of several servers
 * one tells, and what isn't told because nobody ran is told later. A key with less life than a lead isn't told by it, nor
 * is one whose end was moved to nearer than it.
 */
export async function tendExpiry(deps: ExpiryDeps, goOn: () => boolean = () => true): Promise<void> {
  for (const leadMs of new Set([...deps.leadsMs, 0])) {
    let told = 0;
    while (goOn() && told < expiryEventsMax && (await anyDue(deps, leadMs)) && (await tellNext(deps, leadMs)))
      told += 1;
  }
}

/** Whether a key is due; if none is, moves the cursor, so that keys of short life that are made later aren't looked at. */
async function anyDue({ store, now }: ExpiryDeps, leadMs: number): Promise<boolean> {
  const nowMs = now();
  const through: ExpiryPlace = { expireTimeMs: nowMs + leadMs, keyId: "" };
  const { expiry } = store;
  // At first, every key that hasn't ended yet is told if its lead has begun.
  const begin: ExpiryPlace = { expireTimeMs: nowMs, keyId: "" };
  const cursor = await expiry.expiryCursor(leadMs);
  if (cursor === undefined) await expiry.moveExpiryCursor(leadMs, undefined, begin);
  const from = cursor ?? begin;
  if ((await expiry.expiringKeys(from, through.expireTimeMs, leadMs, 1)).length > 0) return true;
  if (from.expireTimeMs < through.expireTimeMs) await expiry.moveExpiryCursor(leadMs, from, through);
  return false;
}

/** Tells of the next key that is due; false if another server did. */
async function tellNext({ store, now }: ExpiryDeps, leadMs: number): Promise<boolean> {
  const { result } = await store.mutate(async (tx): Promise<Mutation<boolean>> => {
    const cursor = await tx.expiry.expiryCursor(leadMs);
    const [key] = cursor === undefined ? [] : await tx.expiry.expiringKeys(cursor, now() + leadMs, leadMs, 1);
    if (key === undefined) return { result: false, unchanged: true };
    const { id, tenantId, expireTimeMs } = key;
    // A server whose clock is behind may have moved it meanwhile, outside of any transaction.
    const moved = await tx.expiry.moveExpiryCursor(leadMs, cursor, { expireTimeMs, keyId: id });
    if (!moved) return { result: false, unchanged: true };
    const expireTime = new Date(expireTimeMs).toISOString();
    const details = leadMs === 0 ? { expireTime } : { expireTime, lead: `${leadMs / 1000}s` };
    return {
      result: true,
      change: { kind: "audit", tenantId, event: "noted" },
      audit: { ...byItself(tenantId, leadMs === 0 ? expiredAction : expiringAction, id), details },
    };
  });
  return result;
}
