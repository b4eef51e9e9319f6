import { createHash } from "node:crypto";
import { Redis } from "ioredis";
import type { RateLimit } from "../core/rate-limit.ts";
import { redisError } from "../core/redis-error.ts";
import { redisTakeScript } from "./redis-take-script.ts";
import type { SharedLevels, SharedTake, SharingListener } from "./shared-levels.ts";

/** The longest that anyone waits for Redis, in ms: beyond it this server decides alone, and so do those who come next. */
export const redisAnswerMsMax = 100;
const connectMsMax = 3_000;
const scriptSha = createHash("sha1").update(redisTakeScript).digest("hex");

export interface RedisLevelsOptions {
  readonly url: string;
  /** How long to wait before the next attempt to connect, after so many failures, in ms. */
  readonly reconnectDelayMs: (failures: number) => number;
  readonly listener: SharingListener;
  /** Default 100 ms. */
  readonly answerMsMax?: number;
}

/**
 * Levels in Redis, by one script a use. After the first error, or the first answer that is late, nobody waits for Redis any
 * more until it has written something again on a new connection: a stalled one keeps what was sent to it.
 */
export class RedisLevels implements SharedLevels {
  readonly #client: Redis;
  readonly #answerMsMax: number;
  readonly #listener: SharingListener;
  #works = false;
  #told = false;
  #closed = false;

  constructor({ url, reconnectDelayMs, listener, answerMsMax = redisAnswerMsMax }: RedisLevelsOptions) {
    this.#answerMsMax = answerMsMax;
    this.#listener = listener;
    this.#client = new Redis(url, {
      connectTimeout: connectMsMax,
      commandTimeout: connectMsMax,
      retryStrategy: reconnectDelayMs,
      // What can't be asked now is decided here.
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      enableReadyCheck: false,
    });
    this.#client.on("error", (error) => this.#lose(error));
    this.#client.on("close", () => this.#lose(new Error("the connection ended")));
    this.#client.on("ready", () => void this.#probe());
  }

  get works(): boolean {
    return this.#works;
  }

  async take(id: string, limits: readonly RateLimit[], cost: number, floors: readonly number[]): Promise<SharedTake> {
    const values = limits.flatMap(({ name, limit, periodMs, burst }, i) => [
      ...[name, limit, periodMs, burst],
      floors[i] ?? 0,
    ]);
    try {
      const [allowed, ...levels] = await inTime(this.#run(`ichor:limit:${id}`, [cost, ...values]), this.#answerMsMax);
      return { allowed: allowed === 1, levels: levels.map(Number) };
    } catch (error) {
      this.#giveUp(error);
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
    this.#works = false;
    this.#client.disconnect();
  }

  async #run(key: string, values: readonly (string | number)[]): Promise<readonly (number | string)[]> {
    try {
      return (await this.#client.evalsha(scriptSha, 1, key, ...values)) as (number | string)[];
    } catch (error) {
      // A Redis that was started anew doesn't know the script.
      if (!(error instanceof Error) || !error.message.startsWith("NOSCRIPT")) throw error;
      return (await this.#client.eval(redisTakeScript, 1, key, ...values)) as (number | string)[];
    }
  }

  /** A replica, or a Redis that is full, answers and doesn't count: so it is asked to write. */
  async #probe(): Promise<void> {
    try {
      await inTime(this.#client.set("ichor:limit:probe", "1", "PX", 1_000), this.#answerMsMax);
    } catch (error) {
      return this.#giveUp(error);
    }
    if (this.#closed) return;
    this.#works = true;
    this.#told = false;
    this.#listener.shared();
  }

  /** Begins anew with another connection, after a while. */
  #giveUp(error: unknown): void {
    this.#lose(error);
    if (!this.#closed && this.#client.status === "ready") this.#client.disconnect(true);
  }

  #lose(error: unknown): void {
    this.#works = false;
    if (this.#told || this.#closed) return;
    this.#told = true;
    this.#listener.alone(redisError(error));
  }
}

/** Rejects if the answer is late; what comes after that is nobody's. */
function inTime<T>(answer: Promise<T>, spanMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    const late = () => reject(new Error("Redis did not answer in time"));
    // Not at once: an answer that waits to be read, because this process was busy, is in time.
    const timer = setTimeout(() => setImmediate(late), spanMs);
    const end = () => clearTimeout(timer);
    answer.then(resolve, reject).finally(end);
  });
}
