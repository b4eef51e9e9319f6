import type { ClientConfig } from "pg";
import type { Store } from "../store/port.ts";
import { notifyChannel } from "./notify-channel.ts";
import { redisChannel } from "./redis-channel.ts";
import type { Tail } from "./tail.ts";
import type { WakeChannel, WakeListener } from "./wake-channel.ts";

export interface WakeUpsDeps {
  readonly store: Pick<Store, "onCommit">;
  readonly tail: Pick<Tail, "wake" | "revision">;
  /** Which server this is among those of the store. */
  readonly instanceId: string;
  readonly log: {
    info(fields: object, message: string): void;
    warn(fields: object, message: string): void;
  };
}

export interface WakeUps {
  close(): Promise<void>;
}

/** What servers can wake each other by. */
export interface WakeWays {
  readonly redisUrl: string | undefined;
  /** How to connect to the PostgreSQL server that holds the store. */
  readonly notify: ClientConfig | undefined;
}

/**
 * Uses Redis where one is named, else PostgreSQL's notifications where that is the store, else nothing: then the log's
 * polling alone makes changes known. Doesn't wait for the channel to be there.
 */
export function openWakeUps({ redisUrl, notify }: WakeWays, deps: WakeUpsDeps): WakeUps {
  if (redisUrl !== undefined) return startWakeUps((listener) => redisChannel(redisUrl, listener), "Redis", deps);
  if (notify !== undefined) return startWakeUps((listener) => notifyChannel(notify, listener), "NOTIFY", deps);
  return { close: async () => {} };
}

/** Tells the channel of this server's commits, and wakes the log's reader by those of others. Only hints: see `Tail`. */
export function startWakeUps(
  open: (listener: WakeListener) => WakeChannel,
  name: string,
  { store, tail, instanceId, log }: WakeUpsDeps,
): WakeUps {
  const channel = open({
    heard(message) {
      const [sender, revision = ""] = message.split(" ");
      if (sender === instanceId || !/^\d{1,19}$/.test(revision)) return;
      if (BigInt(revision) > tail.revision) tail.wake();
    },
    connected() {
      log.info({ channel: name }, "wake-ups work");
      tail.wake();
    },
    lost: (err) => log.warn({ channel: name, err }, "wake-ups are lost; the log is polled meanwhile"),
  });
  let newest: bigint | undefined;
  let publishing = false;
  const publish = async () => {
    publishing = true;
    while (newest !== undefined) {
      const revision = newest;
      newest = undefined;
      // What the channel lost, it tells itself.
      await channel.publish(`${instanceId} ${revision}`).catch(() => {});
    }
    publishing = false;
  };
  // Nobody waits for it: while one is on its way, later revisions are told by one more.
  store.onCommit((revision) => {
    newest = revision;
    if (!publishing) void publish();
  });
  return { close: () => channel.close() };
}
