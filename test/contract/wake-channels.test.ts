import { Redis } from "ioredis";
import { Client } from "pg";
import { afterAll, beforeAll, expect, it } from "vitest";
import { notifyChannel } from "../../services/changes/notify-channel.ts";
import { redisChannel } from "../../services/changes/redis-channel.ts";
import type { WakeChannel, WakeListener } from "../../services/changes/wake-channel.ts";
import { createTestDatabase, type TestDatabase } from "../support/databases.ts";
import { requirement } from "../support/requirements.ts";

const postgres = await requirement("postgres");
const redis = await requirement("redis");

/** Holds what every channel does; `cut` ends its connections from the server's side. */
function describeChannel(open: (listener: WakeListener) => WakeChannel, cut: () => Promise<unknown>): void {
  it("carries messages, comes back when its connection is cut, and says so", async () => {
    const one = listening(open);
    const other = listening(open);
    await Promise.all([one.until("connected"), other.until("connected")]);
    await one.channel.publish("one 1");
    await other.until("one 1");
    await cut();
    await Promise.all([one.until("lost"), other.until("lost")]);
    await Promise.all([one.until("connected", 2), other.until("connected", 2)]);
    expect(one.said.filter((word) => word === "lost")).toHaveLength(1);
    await other.channel.publish("other 2");
    await one.until("other 2");
    await Promise.all([one.channel.close(), other.channel.close()]);
  });
}

function listening(open: (listener: WakeListener) => WakeChannel) {
  const said: string[] = [];
  const waiting = new Set<() => void>();
  const say = (word: string) => {
    said.push(word);
    for (const look of waiting) look();
  };
  const channel = open({
    heard: say,
    connected: () => say("connected"),
    lost: () => say("lost"),
  });
  const until = (word: string, times = 1) =>
    new Promise<void>((resolve) => {
      const look = () => {
        if (said.filter((one) => one === word).length < times) return;
        waiting.delete(look);
        resolve();
      };
      waiting.add(look);
      look();
    });
  return { channel, said, until };
}

postgres.describe("PostgreSQL's notifications", (serverUrl) => {
  let database: TestDatabase;
  let client: Client;
  beforeAll(async () => {
    database = await createTestDatabase(serverUrl);
    client = new Client({ connectionString: database.url });
    await client.connect();
  });
  afterAll(async () => {
    await client?.end();
    await database?.drop();
  });
  describeChannel(
    (listener) => notifyChannel({ connectionString: database.url }, listener),
    () =>
      client.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
      ),
  );
});

redis.describe("Redis' publish and subscribe", (url) => {
  const client = new Redis(url, { lazyConnect: true });
  afterAll(() => client.disconnect());
  describeChannel(
    (listener) => redisChannel(url, listener),
    () => client.call("CLIENT", "KILL", "TYPE", "pubsub"),
  );
});
