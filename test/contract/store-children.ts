import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A process that works on a store; see store-process.mjs. */
export interface StoreChild {
  /** What it has said so far, after "ready". */
  readonly said: readonly Said[];
  /** Resolves once it has said so many things. */
  saidAtLeast(count: number): Promise<void>;
  /** Lets it work. */
  go(): void;
  /** Resolves once it has ended by itself, having succeeded. */
  ended(): Promise<void>;
  /** SIGKILL; resolves once it is gone. */
  kill(): Promise<void>;
}

export interface Said {
  readonly revision: string;
  readonly tenantId: string;
  readonly storeEpoch: string;
}

/** Starts one and waits until it has loaded its code. */
export async function startStoreChild(
  mode: "start" | "write" | "crowd",
  url: string,
  dataDir: string,
  count = 0,
): Promise<StoreChild> {
  const script = new URL("./store-process.mjs", import.meta.url).pathname;
  const child: ChildProcess = spawn(process.execPath, [script, mode, url, dataDir, String(count)], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const said: Said[] = [];
  const complaints: string[] = [];
  const waiting = new Set<() => void>();
  let ready = false;
  const closed = new Promise<number | null>((resolve) => child.once("close", resolve));
  if (child.stdout === null || child.stderr === null) throw new Error("no pipes");
  createInterface({ input: child.stderr }).on("line", (line) => complaints.push(line));
  createInterface({ input: child.stdout }).on("line", (line) => {
    if (ready) said.push(JSON.parse(line) as Said);
    ready = true;
    for (const look of waiting) look();
  });
  const until = (holds: () => boolean) =>
    new Promise<void>((resolve, reject) => {
      const look = () => {
        if (!holds()) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
      closed.then((status) => reject(new Error(`the process ended with ${status}:\n${complaints.join("\n")}`)));
    });
  await until(() => ready);
  return {
    said,
    saidAtLeast: (atLeast) => until(() => said.length >= atLeast),
    go: () => void child.stdin?.write("go\n"),
    async ended() {
      const status = await closed;
      if (status !== 0) throw new Error(`the process ended with ${status}:\n${complaints.join("\n")}`);
    },
    async kill() {
      child.kill("SIGKILL");
      await closed;
    },
  };
}
