import { fork } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * Starts every contender of a row in a process of its own, in order: a later one may need what an earlier one told (a
 * limit answers the very bytes that the server answered).
 *
 * A contender is `{ name, target, options?, env?, execArgv?, load }`; `target` names a file of targets/, which sends
 * `{ port, … }` once it can be called. `load(told, all)` gives the job of the load generator; `withChildren` adds the CPU
 * time of child processes. `envOfAll` makes variables for each contender, with its folder.
 */
export async function startTargets({ contenders }, folder, envOfAll = () => ({})) {
  const running = [];
  try {
    for (const contender of contenders) {
      const told = Object.fromEntries(running.map(({ name, facts }) => [name, facts]));
      running.push(await startTarget(contender, told, join(folder, String(running.length)), envOfAll));
    }
  } catch (error) {
    await Promise.all(running.map(({ stop }) => stop()));
    throw error;
  }
  return running;
}

export async function startTarget(
  { name, target, options = () => ({}), env = {}, execArgv = [], withChildren = false, load = () => undefined },
  told,
  dataDir,
  envOfAll = () => ({}),
) {
  mkdirSync(dataDir, { recursive: true });
  const own = { ...(await envOfAll(dataDir)), ...env };
  const log = openSync(join(dataDir, "log"), "w");
  const inherited = Object.entries(process.env).filter(([variable]) => !variable.startsWith("ICHOR_"));
  const child = fork(fileURLToPath(new URL(`../targets/${target}.mjs`, import.meta.url)), [], {
    env: { ...Object.fromEntries(inherited), ICHOR_DATA_DIR: dataDir, ICHOR_LISTEN: "127.0.0.1:0", ...own },
    execArgv,
    stdio: ["ignore", log, log, "ipc"],
  });
  closeSync(log);
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const ask = (question) => {
    const answer = new Promise((resolve, reject) => {
      child.once("message", resolve);
      ended.then(() => reject(new Error(`${name} ended:\n${readFileSync(join(dataDir, "log"), "utf8").slice(-4000)}`)));
    });
    if (question !== undefined) child.send(question);
    return answer;
  };
  const facts = await ask({ options: options(told) });
  return {
    name,
    facts,
    job: load(facts, told),
    /** CPU time of the process (and of its children, if it has workers) so far, user and system, all threads, in µs. */
    cpuMicros: async () => cpuOfProcess(child.pid, withChildren) ?? (await ask({ ask: "cpu" })),
    ask: (question, more = {}) => ask({ ask: question, ...more }),
    startProfile: () => ask({ ask: "startProfile" }),
    stopProfile: (path) => ask({ ask: "stopProfile", path }),
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

const ticksPerSecond = 100;

/** From /proc, without disturbing the process; undefined where there is none. Resolution 10 ms. */
function cpuOfProcess(pid, withChildren) {
  let stat;
  let children = [];
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    if (withChildren) children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").split(" ").filter(Boolean);
  } catch {
    return undefined;
  }
  // The name in parentheses may hold spaces; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const own = ((Number(fields[11]) + Number(fields[12])) / ticksPerSecond) * 1e6;
  return children.reduce((sum, child) => sum + (cpuOfProcess(child, true) ?? 0), own);
}
