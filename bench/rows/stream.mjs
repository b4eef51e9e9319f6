import { join } from "node:path";
import { apiOf, sharedNowMs } from "../lib/api.mjs";
import { forkLoad, nextMessage, question } from "../lib/load.mjs";
import { figure, median, ratioFigure } from "../lib/report.mjs";
import { startTarget } from "../lib/target.mjs";
import { measureRevocations } from "./revocations.mjs";

const connections = 50;
const streams = 100;
const path = "/ichor.v1.DerivationService/WatchKeySet";
const contentType = { "content-type": "application/grpc+proto" };
/** Changes that are published one after the other in a round. */
const eventsPerRound = { ichor: 20, "raw frames": 20, "stock streaming": 2 };
/** Changes that are made before anyone follows. */
const callsAlone = 100;
const targets = { ichor: "ichor", "raw frames": "raw-streams", "stock streaming": "stock-streams" };

/** 5 000 followers at one process, beside the limit and connect-node's own streams; then how soon a revocation is known. */
export const stream = {
  title: `WatchKeySet: ${connections * streams} followers (${connections} connections × ${streams} streams) of one process`,
  async measure({ rounds, folder, say }) {
    const contenders = [];
    try {
      for (const name of Object.keys(targets)) contenders.push(await startContender(name, folder, say));
      const samples = Object.fromEntries(
        contenders.map(({ name }) => [name, { lastMs: [], cpuMicros: [], fanOutMicros: [] }]),
      );
      for (let round = 0; round < rounds; round++) {
        for (let i = 0; i < contenders.length; i++) {
          const contender = contenders[(i + round) % contenders.length];
          const sample = await publishSome(contender);
          for (const [measure, value] of Object.entries(sample)) samples[contender.name][measure].push(value);
          const { lastMs, cpuMicros, fanOutMicros } = sample;
          say(
            `round ${round + 1}/${rounds} ${contender.name}: last after ${lastMs.toFixed(1)} ms, CPU a message ${cpuMicros.toFixed(2)} µs, without the call ${fanOutMicros.toFixed(2)} µs`,
          );
        }
      }
      const [ichor, ...others] = contenders;
      await Promise.all(others.map(({ stop }) => stop()));
      ichor.generator.kill();
      return [...fanOutFigures(samples, contenders), ...(await measureRevocations(ichor, folder, say))];
    } finally {
      await Promise.all(contenders.map(({ stop }) => stop()));
    }
  },
};

function fanOutFigures(samples, contenders) {
  const { ichor, "raw frames": raw, "stock streaming": stock } = samples;
  return [
    ratioFigure("publish → last receiver", "raw frames that were encoded before", ichor.lastMs, raw.lastMs, {
      most: 1.5,
    }),
    ratioFigure("CPU a message", "raw frames", ichor.fanOutMicros, raw.fanOutMicros, { most: 1.5 }),
    ratioFigure("CPU a message, the call and its commit included", "raw frames", ichor.cpuMicros, raw.cpuMicros),
    ratioFigure("publish → last receiver: stock streaming", "ichor", stock.lastMs, ichor.lastMs, { least: 8 }),
    ratioFigure("CPU a message: stock streaming", "ichor", stock.fanOutMicros, ichor.fanOutMicros, { least: 8 }),
    ...contenders.map(({ name, heapKiB }) =>
      figure(`heap a follower: ${name}`, undefined, "KiB", [heapKiB], name === "ichor" ? { most: 4 } : undefined),
    ),
  ];
}

/** Starts a target with its followers. */
async function startContender(name, folder, say) {
  const dataDir = join(folder, name.replaceAll(" ", "-"));
  const target = await startTarget({ name, target: targets[name], execArgv: ["--expose-gc"] }, {}, dataDir);
  const generator = forkLoad("streams");
  const { port } = target.facts;
  const publish = name === "ichor" ? await publisherOf(target.facts) : () => target.ask("publish");
  const callMicros = await cpuOfCall(target, publish);
  const headers = name === "ichor" ? { ...contentType, ...(await watcherOf(target.facts)) } : contentType;
  const before = await target.ask("memory");
  await question(generator, { ask: "open", port, path, headers, connections, streams });
  const after = await target.ask("memory");
  const heapKiB = (after.heapUsed - before.heapUsed) / (connections * streams) / 1024;
  say(`${name}: ${connections * streams} follow, ${heapKiB.toFixed(2)} KiB of heap each`);
  const stop = async () => {
    generator.kill();
    await target.stop();
  };
  return { ...target, name, generator, heapKiB, publish, callMicros, stop };
}

/** The CPU that a change takes which nobody follows: a call with its commit is no part of what a message costs. */
async function cpuOfCall({ cpuMicros }, publish) {
  for (let i = 0; i < callsAlone; i++) await publish();
  const before = await cpuMicros();
  for (let i = 0; i < callsAlone; i++) await publish();
  return ((await cpuMicros()) - before) / callsAlone;
}

async function watcherOf(facts) {
  const { credential } = await apiOf(facts)("AdminService/IssueApiKey", { name: "w", scopes: ["ichor:keyset:watch"] });
  return { authorization: `Bearer ${credential}` };
}

/** A change that followers are told of: the whole call, with its commit. */
async function publisherOf(facts) {
  const call = apiOf(facts);
  const { apiKey } = await call("AdminService/IssueApiKey", { name: "switched" });
  let disabled = false;
  return async () => {
    disabled = !disabled;
    await call(`AdminService/${disabled ? "DisableApiKey" : "EnableApiKey"}`, { keyId: apiKey.id });
  };
}

/** Publishes change after change, each once everyone has the one before. */
async function publishSome({ name, generator, publish, callMicros, cpuMicros }) {
  const lasts = [];
  let frames = 0;
  const cpuBefore = await cpuMicros();
  for (let i = 0; i < eventsPerRound[name]; i++) {
    await question(generator, { ask: "expect", events: 1 });
    const last = nextMessage(generator);
    const begunMs = sharedNowMs();
    const [told] = await Promise.all([last, publish()]);
    lasts.push(told.atMs - begunMs);
    frames += told.frames;
  }
  const spent = (await cpuMicros()) - cpuBefore;
  const fanOutMicros = (spent - eventsPerRound[name] * callMicros) / frames;
  return { lastMs: median(lasts), cpuMicros: spent / frames, fanOutMicros };
}
