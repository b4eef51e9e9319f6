import cluster, { type Worker } from "node:cluster";
import type { OpenWakeChannel, WakeChannel, WakeListener } from "../changes/wake-channel.ts";
import type { RateLimiter } from "../limits/limiter-port.ts";
import { sumMetrics } from "../telemetry/sum-metrics.ts";
import type { Family } from "./family-port.ts";
import { closeUntaken } from "./given-connections.ts";
import { type FamilyMessage, familyMessageOf } from "./messages.ts";
import { WorkersFailed } from "./workers-failed.ts";

/** How long a worker that ended so soon after its start is taken to end again, in ms. */
const steadyMs = 60_000;
const firstRestartMs = 100;
const longestRestartMs = 10_000;
/** How long a worker may take to tell its metrics, in ms. */
const measureMsMax = 2_000;
/** How long a worker may take to end after its last call, in ms. */
const closeMsMax = 1_500;

export interface PrimaryDeps {
  /** How many workers. */
  readonly count: number;
  readonly log: {
    info(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
}

/**
 * The family as its primary sees it: it begins the workers, begins others for those that end, hands wake-ups around, and
 * takes no calls itself.
 */
export class PrimaryFamily implements Family {
  readonly tends = true;
  readonly #deps: PrimaryDeps;
  readonly #workers = new Set<Worker>();
  readonly #hearers = new Set<(message: FamilyMessage, sender: Worker) => void>();
  readonly #starting = new WeakSet<Worker>();
  readonly #reloadLater = new WeakSet<Worker>();
  readonly #lastMeasured = new WeakMap<Worker, string>();
  /** What those last told that have ended. */
  #ended: readonly string[] = [];
  /** How many ended soon after their start, one after another. */
  #quickEnds = 0;
  #ending = false;

  constructor(deps: PrimaryDeps) {
    this.#deps = deps;
  }

  relay(outer: OpenWakeChannel | undefined): OpenWakeChannel {
    return (listener) => this.#wakeChannel(listener, outer);
  }

  limiter(local: RateLimiter): RateLimiter {
    this.#hearers.add(async (message, sender) => {
      if (message.ichor !== "take") return;
      const { id, limits, cost } = message.question;
      const decision = await local.take(id, limits, cost);
      if (sender.isConnected())
        sender.send({ ichor: "taken", number: message.number, decision } satisfies FamilyMessage);
    });
    return local;
  }

  /**
   * Begins the workers, and from now on others for those that end. Resolves with the URL where calls are taken. Rejects with
   * WorkersFailed if one ends before any takes calls.
   */
  begin(): Promise<string> {
    return new Promise((resolve, reject) => {
      let listening = false;
      this.#hearers.add((message) => {
        if (message.ichor !== "listening") return;
        listening = true;
        resolve(message.url);
      });
      const failed = (status: string) => {
        if (listening) return false;
        this.drain(0).then(() => reject(new WorkersFailed(`a worker ended at its start (${status})`)), reject);
        return true;
      };
      for (let i = 0; i < this.#deps.count; i++) this.#fork(failed);
    });
  }

  /**
   * Makes what gives the metrics of all processes together, from what gives this one's. It rejects if a worker doesn't
   * answer: a part would be taken for the whole.
   */
  measure(own: () => Promise<string>): () => Promise<string> {
    return async () => {
      const asked = [...this.#workers].filter((worker) => !this.#starting.has(worker));
      const texts = await Promise.all([own(), ...asked.map((worker) => this.#measured(worker))]);
      return sumMetrics(texts, this.#ended);
    };
  }

  /** Lets the workers read the configuration again: one that is still starting, as soon as it takes calls. */
  reload(): void {
    for (const worker of this.#workers) {
      if (this.#starting.has(worker)) this.#reloadLater.add(worker);
      else worker.process.kill("SIGHUP");
    }
  }

  /** Ends the workers; they cut their calls after `timeoutMs`, and are killed soon after that. */
  async drain(timeoutMs: number): Promise<void> {
    this.#ending = true;
    const ends = [...this.#workers].map((worker) => new Promise<void>((ended) => worker.once("exit", () => ended())));
    for (const worker of this.#workers) worker.process.kill("SIGTERM");
    const cut = setTimeout(() => {
      for (const worker of this.#workers) worker.process.kill("SIGKILL");
    }, timeoutMs + closeMsMax);
    await Promise.all(ends);
    clearTimeout(cut);
  }

  #fork(failed: (status: string) => boolean): void {
    if (this.#ending) return;
    const { log } = this.#deps;
    const worker = cluster.fork();
    closeUntaken(worker);
    const startMs = performance.now();
    this.#workers.add(worker);
    this.#starting.add(worker);
    worker.on("message", (received: unknown) => {
      const message = familyMessageOf(received);
      if (message === undefined) return;
      if (message.ichor === "listening") this.#started(worker);
      for (const hear of this.#hearers) hear(message, worker);
    });
    // As a channel that breaks while a message is sent: the worker's end tells what there is to tell.
    worker.on("error", (err) => log.error({ err, pid: worker.process.pid }, "the channel to a worker failed"));
    worker.once("exit", (code, signal) => {
      this.#workers.delete(worker);
      const told = this.#lastMeasured.get(worker);
      if (told !== undefined) this.#ended = [sumMetrics([], [...this.#ended, told])];
      const status = signal ?? String(code);
      if (this.#ending || failed(status)) return;
      this.#quickEnds = performance.now() - startMs < steadyMs ? this.#quickEnds + 1 : 0;
      const inMs = Math.min(firstRestartMs * 2 ** this.#quickEnds, longestRestartMs);
      log.error({ status, inMs }, "a worker has ended; another one begins");
      setTimeout(() => this.#fork(failed), inMs);
    });
  }

  #measured(worker: Worker): Promise<string> {
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        clearTimeout(timer);
        this.#hearers.delete(hear);
        settle();
      };
      const hear = (message: FamilyMessage, sender: Worker) => {
        if (sender !== worker || message.ichor !== "measured") return;
        this.#lastMeasured.set(worker, message.text);
        end(() => resolve(message.text));
      };
      const timer = setTimeout(() => end(() => reject(new Error("a worker doesn't tell its metrics"))), measureMsMax);
      this.#hearers.add(hear);
      if (worker.isConnected()) worker.send({ ichor: "measure" } satisfies FamilyMessage);
    });
  }

  #started(worker: Worker): void {
    this.#starting.delete(worker);
    if (this.#reloadLater.delete(worker)) worker.process.kill("SIGHUP");
  }

  #wakeChannel(listener: WakeListener, outer: OpenWakeChannel | undefined): WakeChannel {
    const channel = outer?.({
      heard: (message) => {
        listener.heard(message);
        this.#tellAll({ ichor: "wake", message });
      },
      connected: () => {
        listener.connected();
        this.#tellAll({ ichor: "look" });
      },
      lost: (error) => listener.lost(error),
    });
    if (channel === undefined) listener.connected();
    const hear = (message: FamilyMessage, sender: Worker) => {
      if (message.ichor !== "wake") return;
      listener.heard(message.message);
      this.#tellAll(message, sender);
      // What the channel lost, it tells itself.
      channel?.publish(message.message).catch(() => {});
    };
    this.#hearers.add(hear);
    return {
      publish: async (message) => {
        this.#tellAll({ ichor: "wake", message });
        await channel?.publish(message);
      },
      close: async () => {
        this.#hearers.delete(hear);
        await channel?.close();
      },
    };
  }

  #tellAll(message: FamilyMessage, except?: Worker): void {
    for (const worker of this.#workers) if (worker !== except && worker.isConnected()) worker.send(message);
  }
}
