import { addressBlock } from "../core/cidr.ts";
import type { RateLimit } from "../core/rate-limit.ts";
import type { InstantLimiter, RateLimiter } from "../limits/limiter-port.ts";
import { Turns } from "./turns.ts";

/** Failures that one address may have before its unknown credentials are looked up in turns. */
export const failuresOfAddress: RateLimit = {
  name: "failures",
  limit: 60,
  periodMs: 60_000,
  burst: 60,
  strict: false,
};
/** The same for all addresses together, on one server. */
export const failuresOfAll: RateLimit = { ...failuresOfAddress, limit: 500, periodMs: 1_000, burst: 2_000 };

/** Time between two turns, in ms. */
export const turnMs = 50;
/** Keys that are looked up in one turn, by one read. */
export const keysOfTurn = 1_000;
/** Tenants that are looked up in one turn, each by a read of its own. */
const tenantsOfTurn = 20;

const everyone = "*";

export interface FailedVerificationsDeps {
  /** Counts with the other servers, if there are. */
  readonly limiter: RateLimiter;
  /** What this server knows of the same. */
  readonly known: InstantLimiter;
  /** Among how many processes that count alone a server's clients are spread: each allows its part. */
  readonly processes: number;
  /** Names the store among those that share a Redis. */
  readonly storeId: string;
  readonly schedule: (callback: () => void, delayMs: number) => unknown;
}

/**
 * Bounds what unknown credentials cost the store, without refusing any: whoever has presented too many of them lately waits
 * for a turn with each credential that isn't at hand, right or wrong, and all that had to wait are looked up together. A
 * right secret gets its answer, 50 ms later; and once it has been seen, it is at hand and waits no more. IPv6 addresses
 * are counted by their /64, which one client has.
 */
export class FailedVerifications {
  readonly #deps: FailedVerificationsDeps;
  readonly #keys: Turns;
  readonly #tenants: Turns;
  readonly #ofAddress: RateLimit;
  readonly #ofAll: RateLimit;

  constructor(deps: FailedVerificationsDeps) {
    this.#deps = deps;
    this.#ofAddress = partOf(failuresOfAddress, deps.processes);
    this.#ofAll = partOf(failuresOfAll, deps.processes);
    this.#keys = new Turns(turnMs, keysOfTurn, deps.schedule);
    this.#tenants = new Turns(turnMs, tenantsOfTurn, deps.schedule);
  }

  /** How many look-ups wait for their turn. */
  get waiting(): number {
    return this.#keys.waiting + this.#tenants.waiting;
  }

  /** Waits for a turn if this address has to; says whether it had. */
  async turn(clientAddress: string, of: "key" | "tenant" = "key"): Promise<boolean> {
    if (this.#hasRoom(this.#idOf(clientAddress), this.#ofAddress) && this.#hasRoom(everyone, this.#ofAll)) return false;
    await (of === "key" ? this.#keys : this.#tenants).next();
    return true;
  }

  /** Counts a credential that is none. */
  note(clientAddress: string): void {
    const id = this.#idOf(clientAddress);
    // What is over already needn't be told again, least of all to Redis.
    if (this.#hasRoom(id, this.#ofAddress)) void this.#deps.limiter.take(id, [this.#ofAddress], 1);
    this.#deps.known.take(everyone, [this.#ofAll], 1);
  }

  #hasRoom(id: string, limit: RateLimit): boolean {
    return this.#deps.known.take(id, [limit], 0).states[0]?.remaining !== 0;
  }

  #idOf(clientAddress: string): string {
    return `failed/${this.#deps.storeId}/${addressBlock(clientAddress)}`;
  }
}

function partOf(limit: RateLimit, processes: number): RateLimit {
  return { ...limit, limit: Math.ceil(limit.limit / processes), burst: Math.ceil(limit.burst / processes) };
}
