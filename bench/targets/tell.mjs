import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { monitorEventLoopDelay } from "node:perf_hooks";

/**
 * Waits for the bench's options, tells it `facts(options)` once the target can be called, and answers its questions:
 * those of every target, and `own` ones.
 */
export function tell(facts, own = {}) {
  const all = { ...answers, ...own };
  // Goes with who asked for it, however that ends.
  process.once("disconnect", () => process.exit());
  // Listens from the start, which keeps the process alive while it has nothing else to wait for.
  process.on("message", async ({ options, ...question }) => {
    const answer = options === undefined ? await all[question.ask](question) : await facts(options);
    process.send(answer ?? true);
  });
}

const session = new Session();
const loopDelay = monitorEventLoopDelay({ resolution: 1 });

const answers = {
  /** CPU time of this process so far, in µs. */
  async cpu() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  /** Bytes that are reachable, and those of buffers outside of the heap. Needs --expose-gc. */
  async memory() {
    for (let i = 0; i < 3; i++) {
      globalThis.gc();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    return { heapUsed, arrayBuffers };
  },
  /** The longest that the event loop was held up since the last question, in ms. */
  async stall() {
    loopDelay.enable();
    const longestMs = loopDelay.max / 1e6;
    loopDelay.reset();
    return longestMs;
  },
  async startProfile() {
    session.connect();
    await session.post("Profiler.enable");
    await session.post("Profiler.start");
    return true;
  },
  async stopProfile({ path }) {
    const { profile } = await session.post("Profiler.stop");
    session.disconnect();
    writeFileSync(path, JSON.stringify(profile));
    return true;
  },
};

/** Resolves with the port once the server listens. */
export function listening(server) {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(server.address().port));
  });
}
