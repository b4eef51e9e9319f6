import { byItself } from "../core/audit-event.ts";
import type { ErrorReason } from "../core/errors.ts";
import { getOrMake } from "../core/get-or-make.ts";
import type { KeyId, TenantId, TokenId } from "../core/ids.ts";
import type { Store } from "../store/port.ts";

/** Audit action of calls that were refused before their method, counted together. */
export const refusedAction = "CallsRefused";
/** Audit action of tokens that were derived, counted together. */
export const derivedAction = "TokensDerived";

/** Time between two writes, in ms. */
export const noticeIntervalMs = 60_000;
/** Most events of one write, whatever happens: a flood of refused calls must not become one of transactions. */
export const noticesMax = 20;
/** Tallies that are kept; what comes beyond them is counted for tenant `default`. */
const talliesMax = 1_000;
const samplesMax = 8;

const refusals: ReadonlySet<ErrorReason> = new Set<ErrorReason>([
  "CREDENTIAL_MISSING",
  "CREDENTIAL_REFUSED",
  "SCOPE_MISSING",
  "TENANT_NOT_ALLOWED",
]);

export interface NoticeDeps {
  readonly store: Pick<Store, "mutate">;
  /** Tenant `default`, whose trail has what belongs to no tenant. */
  readonly homeId: TenantId;
  /** Ms since the epoch. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly jitter: () => number;
  /** Calls back once after so many ms and gives what cancels that. */
  readonly schedule: (callback: () => void, delayMs: number) => () => void;
  readonly log: { warn(fields: object, message: string): void };
}

/** A call that failed, as far as it is told here. */
export interface RefusedCall {
  readonly method: string;
  readonly reason: ErrorReason | undefined;
  readonly clientAddress: string;
  /** As far as it was known by then. */
  readonly tenantId: TenantId | undefined;
  readonly keyId: KeyId | undefined;
}

interface Tally {
  readonly tenantId: TenantId;
  readonly action: string;
  readonly reason?: ErrorReason;
  readonly sinceMs: number;
  count: number;
  /** A fair sample of all that were counted. */
  readonly samples: string[];
}

/**
 * Counts what happens too often to be an event each, refused calls and derived tokens, and writes it into the audit trail
 * as one event a minute per tenant and reason, with a few samples: method, address and ids, never a credential. At most
 * `noticesMax` events a minute are written; the rest goes on being counted. What a process had not written when it was
 * killed is lost.
 */
export class NoticeRecorder {
  readonly #deps: NoticeDeps;
  readonly #refused = new Map<string, Tally>();
  readonly #derived = new Map<TenantId, Tally>();
  #flushing: Promise<void> | undefined;
  #cancelTimer: (() => void) | undefined;

  constructor(deps: NoticeDeps) {
    this.#deps = deps;
  }

  /** Counts a failed call if it was refused for who called. */
  refused({ method, reason, clientAddress, tenantId, keyId }: RefusedCall): void {
    if (reason === undefined || !refusals.has(reason)) return;
    const known = tenantId ?? this.#deps.homeId;
    const of = this.#refused.size < talliesMax || this.#refused.has(`${reason} ${known}`) ? known : this.#deps.homeId;
    const tally = getOrMake(this.#refused, `${reason} ${of}`, () => this.#begin(of, refusedAction, reason));
    const at = this.#sampleOf(tally);
    if (at < samplesMax)
      tally.samples[at] = [method.slice(method.indexOf("/") + 1), clientAddress, keyId].filter(Boolean).join(" ");
  }

  /** Counts a derived token. */
  derived(tenantId: TenantId, keyId: KeyId, tokenId: TokenId): void {
    const tally = getOrMake(this.#derived, tenantId, () => this.#begin(tenantId, derivedAction));
    const at = this.#sampleOf(tally);
    if (at < samplesMax) tally.samples[at] = `${tokenId} of ${keyId}`;
  }

  /** Writes what was counted. Never rejects: what can't be written is counted on. */
  flush(): Promise<void> {
    this.#flushing ??= this.#write().finally(() => {
      this.#flushing = undefined;
    });
    return this.#flushing;
  }

  /** Ends the timer and writes what was counted. */
  async stop(): Promise<void> {
    await this.flush();
    this.#cancelTimer?.();
  }

  /** Counts one more; gives where its sample belongs, if that is below `samplesMax` (Vitter's algorithm R). */
  #sampleOf(tally: Tally): number {
    tally.count += 1;
    return tally.count <= samplesMax ? tally.count - 1 : Math.floor(this.#deps.jitter() * tally.count);
  }

  #begin(tenantId: TenantId, action: string, reason?: ErrorReason): Tally {
    this.#cancelTimer ??= this.#deps.schedule(() => void this.flush(), noticeIntervalMs);
    return { tenantId, action, sinceMs: this.#deps.now(), count: 0, samples: [], ...(reason && { reason }) };
  }

  async #write(): Promise<void> {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    const all = [...this.#refused, ...this.#derived].sort(([, a], [, b]) => b.count - a.count);
    for (const [key, tally] of all.slice(0, noticesMax)) {
      const kept: Map<string, Tally> = tally.action === derivedAction ? this.#derived : this.#refused;
      // From here on it is counted anew: what is being written must not change.
      kept.delete(key);
      try {
        await this.#writeOne(tally);
      } catch (err) {
        this.#deps.log.warn({ err }, "what was counted can't be written into the audit trail; it is tried again");
        tally.count += kept.get(key)?.count ?? 0;
        kept.set(key, tally);
        break;
      }
    }
    if (this.#refused.size + this.#derived.size > 0)
      this.#cancelTimer ??= this.#deps.schedule(() => void this.flush(), noticeIntervalMs);
  }

  async #writeOne({ tenantId, action, reason, sinceMs, count, samples }: Tally): Promise<void> {
    const details = {
      ...(reason && { reason }),
      count: String(count),
      since: new Date(sinceMs).toISOString(),
      samples: samples.join(", "),
    };
    await this.#deps.store.mutate(async () => ({
      result: undefined,
      change: { kind: "audit", tenantId, event: "noted" },
      audit: { ...byItself(tenantId, action, tenantId), details },
    }));
  }
}
