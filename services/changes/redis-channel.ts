import { Redis } from "ioredis";
import { redisError } from "../core/redis-error.ts";
import { jitteredDelayMs } from "./reconnect-delay.ts";
import type { WakeChannel, WakeListener } from "./wake-channel.ts";

/** Stores that share a Redis wake each other in vain, which costs them a look. */
const channelName = "ichor:wake";
const connectMsMax = 3_000;

/** Redis' publish and subscribe, on two connections that come back by themselves. */
export function redisChannel(url: string, listener: WakeListener): WakeChannel {
  const subscriber = new Redis(url, {
    connectTimeout: connectMsMax,
    retryStrategy: jitteredDelayMs,
    maxRetriesPerRequest: null,
    // A connection that broke without a word is noticed by its silence.
    keepAlive: 10_000,
  });
  // What can't be told now needn't be told later.
  const publisher = new Redis(url, {
    connectTimeout: connectMsMax,
    commandTimeout: connectMsMax,
    retryStrategy: jitteredDelayMs,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
  });
  let works: boolean | undefined;
  const lost = (error: unknown) => {
    if (works === false) return;
    works = false;
    listener.lost(redisError(error));
  };
  for (const client of [subscriber, publisher]) client.on("error", lost);
  subscriber.on("close", () => lost(new Error("the connection ended")));
  // Subscriptions are renewed by the client before it is ready again; a first one is queued until then.
  subscriber.on("ready", () => {
    subscriber.subscribe(channelName).then(() => {
      works = true;
      listener.connected();
    }, lost);
  });
  subscriber.on("message", (_channel, message) => listener.heard(message));
  return {
    async publish(message) {
      await publisher.publish(channelName, message);
    },
    async close() {
      works = false;
      subscriber.disconnect();
      publisher.disconnect();
    },
  };
}
