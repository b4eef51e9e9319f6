import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ratioFigure } from "../lib/report.mjs";
import { startTarget } from "../lib/target.mjs";

const storedKeys = 100_000;
const idleMs = 2_000;
const port = 20_000 + (process.pid % 20_000);
const least = "a process that loads Prisma and connect-node and does one query";

/** `serve` on a store with 100 000 keys: until it answers, and what it holds when nothing happens. */
export const start = {
  title: "`serve` on a filled embedded store: start to first answer, and idle memory",
  async measure({ rounds, folder, say }) {
    const dataDir = join(folder, "filled");
    const filled = await startTarget(
      { name: "filled", target: "ichor", options: () => ({ stored: storedKeys }) },
      {},
      dataDir,
    );
    await filled.stop();
    const contenders = {
      ichor: { script: "../../dist/services/main.js", args: ["serve"] },
      [least]: { script: "../targets/least-server.mjs", args: [] },
    };
    const samples = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]));
    for (let round = 0; round < rounds; round++) {
      for (const [name, contender] of Object.entries(contenders)) {
        const sample = await startOnce(contender, dataDir);
        samples[name].push(sample);
        say(
          `round ${round + 1}/${rounds} ${name}: ${sample.startMs.toFixed(0)} ms, ${(sample.rssKiB / 1024).toFixed(0)} MiB`,
        );
      }
    }
    const of = (name, measure) => samples[name].map((sample) => sample[measure]);
    return [
      ratioFigure("start to first answer", least, of("ichor", "startMs"), of(least, "startMs"), { most: 1.3 }),
      ratioFigure("CPU until then", least, of("ichor", "cpuMs"), of(least, "cpuMs")),
      ratioFigure("idle memory (RSS)", least, of("ichor", "rssKiB"), of(least, "rssKiB"), { most: 1.3 }),
    ];
  },
};

async function startOnce({ script, args }, dataDir) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("ICHOR_"));
  const env = { ...Object.fromEntries(inherited), ICHOR_DATA_DIR: dataDir, ICHOR_LISTEN: `127.0.0.1:${port}` };
  const begunMs = performance.now();
  const child = spawn(process.execPath, [fileURLToPath(new URL(script, import.meta.url)), ...args], {
    env,
    stdio: "ignore",
  });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  try {
    while (!(await answers())) if (child.exitCode !== null) throw new Error(`${script} ended with ${child.exitCode}`);
    const startMs = performance.now() - begunMs;
    const cpuMs = cpuMsOf(child.pid);
    await sleep(idleMs);
    const rssKiB = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))[1]);
    return { startMs, cpuMs, rssKiB };
  } finally {
    child.kill();
    await ended;
  }
}

/** Whether an HTTP request is answered, whatever the answer; tried every few ms. */
function answers() {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () =>
      socket.write("GET /readyz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"),
    );
    socket.once("data", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => setTimeout(resolve, 5, false));
  });
}

function cpuMsOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
