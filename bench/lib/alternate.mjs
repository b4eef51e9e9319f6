import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { profilePath } from "./profile.mjs";

const warmUpMs = 500;
// Long enough that V8 has compiled what is hot, also where a request is slow.
const firstWarmUpMs = 5_000;

/**
 * Measures every contender once per round, in an order that turns with the rounds, so that a neighbour's load falls on
 * all of them. Gives, by contender, a sample per round.
 */
export async function alternate(running, { rounds, seconds, say, profileFolder }) {
  const samples = Object.fromEntries(running.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    const order = running.map((_, i) => running[(i + round) % running.length]);
    for (const contender of order) {
      const sample = await measure(contender, {
        warmUpMs: round === 0 ? firstWarmUpMs : warmUpMs,
        durationMs: seconds * 1000,
      });
      samples[contender.name].push(sample);
      say(
        `round ${round + 1}/${rounds} ${contender.name}: ${sample.cpuMicros.toFixed(1)} µs CPU, ` +
          `${Math.round(sample.rate)}/s, p50 ${sample.p50Ms.toFixed(2)} ms, p99 ${sample.p99Ms.toFixed(2)} ms`,
      );
    }
  }
  // After the measured rounds, which it would falsify.
  if (profileFolder) for (const contender of running) await profile(contender, seconds * 1000, profileFolder);
  return samples;
}

async function profile(contender, durationMs, folder) {
  await contender.startProfile();
  await measure(contender, { warmUpMs, durationMs });
  await contender.stopProfile(profilePath(folder, contender.name));
}

/** One window of load, made by a process of its own that begins and ends the window by messages. */
async function measure({ name, job, cpuMicros }, window) {
  const generator = fork(fileURLToPath(new URL(`../load/${job.kind}.mjs`, import.meta.url)), [], {
    serialization: "advanced",
  });
  const failed = new Promise((_, reject) => {
    generator.once("exit", (status) => reject(new Error(`the load generator for ${name} ended with ${status}`)));
    generator.once("error", reject);
  });
  failed.catch(() => {});
  const next = () => Promise.race([new Promise((resolve) => generator.once("message", resolve)), failed]);
  generator.send({ ...job, ...window });
  const first = await next();
  const before = await cpuMicros();
  // Who fails while it warms up tells that at once, and begins nothing.
  const { requests, elapsedMs, latenciesMs, failures } = first === "begin" ? await next() : first;
  const after = await cpuMicros();
  generator.kill();
  if (failures.length > 0) throw new Error(`${name} answered wrongly: ${failures[0]}`);
  if (requests === 0) throw new Error(`${name} answered nothing`);
  latenciesMs.sort();
  const quantile = (q) => latenciesMs[Math.min(latenciesMs.length - 1, Math.floor(latenciesMs.length * q))];
  return {
    cpuMicros: (after - before) / requests,
    rate: (requests * 1000) / elapsedMs,
    p50Ms: quantile(0.5),
    p99Ms: quantile(0.99),
  };
}
