import { Client, type ClientConfig } from "pg";
import { jitteredDelayMs } from "./reconnect-delay.ts";
import { schedule } from "./schedule.ts";
import type { WakeChannel, WakeListener } from "./wake-channel.ts";

/** Notifications belong to a database, so that the name needs nothing else in it. */
const channelName = "ichor_wake";
/** Time between two proofs that the connection lives, in ms; and the longest wait for one. */
const proofIntervalMs = 15_000;
const proofMsMax = 5_000;

/** PostgreSQL's LISTEN and NOTIFY, on a connection of its own that is made anew whenever it is lost. */
export function notifyChannel(config: ClientConfig, listener: WakeListener): WakeChannel {
  let client: Client | undefined;
  let cancelTimer = () => {};
  let failures = 0;
  let closed = false;

  async function connect(): Promise<void> {
    const connecting = new Client({ ...config, query_timeout: proofMsMax });
    const lost = (error?: unknown) => {
      connecting.removeAllListeners("end");
      void connecting.end().catch(() => {});
      if (closed || (client !== undefined && client !== connecting)) return;
      client = undefined;
      if (failures === 0) listener.lost(error ?? new Error("the connection ended"));
      cancelTimer();
      cancelTimer = schedule(() => void connect(), jitteredDelayMs(failures++));
    };
    // Told several times when a connection breaks; the first one counts.
    connecting.once("error", lost);
    connecting.on("error", () => {});
    connecting.once("end", () => lost());
    connecting.on("notification", ({ payload }) => listener.heard(payload ?? ""));
    try {
      await connecting.connect();
      await connecting.query(`LISTEN ${channelName}`);
    } catch (error) {
      return lost(error);
    }
    if (closed) return void connecting.end().catch(() => {});
    client = connecting;
    failures = 0;
    listener.connected();
    prove(connecting, lost);
  }

  /** A connection that broke without a word would stay silent for ever. */
  function prove(proved: Client, lost: (error: unknown) => void): void {
    cancelTimer = schedule(() => {
      proved.query("SELECT 1").then(() => {
        if (client === proved) prove(proved, lost);
      }, lost);
    }, proofIntervalMs);
  }

  void connect();
  return {
    async publish(message) {
      await client?.query("SELECT pg_notify($1, $2)", [channelName, message]);
    },
    async close() {
      closed = true;
      cancelTimer();
      await client?.end().catch(() => {});
    },
  };
}
