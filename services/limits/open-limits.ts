import type { InstantLimiter, RateLimiter } from "./limiter-port.ts";
import { LocalLimiter } from "./local-limiter.ts";
import { SharedLimiter } from "./shared-limiter.ts";

export interface LimitsDeps {
  /** Where servers of one store count together; undefined: each counts alone. May hold a password. */
  readonly redisUrl: string | undefined;
  /** Ms since the epoch. */
  readonly now: () => number;
  readonly reconnectDelayMs: (failures: number) => number;
  /** Counts for the processes of this server together, where it alone counts; undefined: it is one process. */
  readonly family: { limiter(local: RateLimiter): RateLimiter } | undefined;
  /** Told whether this server counts alone although it shouldn't; at the start it does. */
  readonly onAlone: (alone: boolean) => void;
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
}

export interface Limits {
  readonly keys: RateLimiter;
  /** For what is counted by address, apart from keys: whoever has many addresses must not push keys out. */
  readonly addresses: {
    readonly limiter: RateLimiter;
    /** What this server knows of it. */
    readonly known: InstantLimiter;
  };
  /** Whether uses are counted with the other servers; undefined: no way to do so is set. */
  shared(): boolean | undefined;
  close(): void;
}

/** Counts uses, in Redis if it is named. Doesn't wait for it. */
export async function openLimits({
  redisUrl,
  now,
  reconnectDelayMs,
  family,
  onAlone,
  log,
}: LimitsDeps): Promise<Limits> {
  const local = new LocalLimiter(now);
  const known = new LocalLimiter(now);
  if (redisUrl === undefined) {
    const addresses = { limiter: known, known };
    return { keys: family?.limiter(local) ?? local, addresses, shared: () => undefined, close() {} };
  }
  onAlone(true);
  const { RedisLevels } = await import("./redis-levels.ts");
  const levels = new RedisLevels({
    url: redisUrl,
    reconnectDelayMs,
    listener: {
      shared() {
        onAlone(false);
        log.info({}, "rate limits are shared");
      },
      alone(err) {
        onAlone(true);
        log.warn({ err }, "Redis is lost: this server keeps rate limits alone meanwhile");
      },
    },
  });
  return {
    keys: new SharedLimiter(levels, local, now),
    addresses: { limiter: new SharedLimiter(levels, known, now), known },
    shared: () => levels.works,
    close: () => levels.close(),
  };
}
