import { inspect } from "node:util";
import { Redis } from "ioredis";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { VerificationCode } from "../../gen/ichor/v1/verification_pb.ts";
import { redisChannel } from "../../services/changes/redis-channel.ts";
import { LocalLimiter } from "../../services/limits/local-limiter.ts";
import { RedisLevels } from "../../services/limits/redis-levels.ts";
import { SharedLimiter } from "../../services/limits/shared-limiter.ts";
import { freshId, limit, limiterContract } from "../support/limiter-contract.ts";
import { requirement } from "../support/requirements.ts";
import { startTcpProxy, type TcpProxy } from "../support/tcp-proxy.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

const redis = await requirement("redis");

redis.describe("rate limits in Redis", (url) => {
  const { hostname, port } = new URL(url);
  let proxy: TcpProxy;
  let client: Redis;
  const opened: RedisLevels[] = [];

  beforeAll(async () => {
    proxy = await startTcpProxy({ host: hostname, port: Number(port || 6379) });
    client = new Redis(url);
  });
  afterEach(() => proxy.restore());
  afterAll(async () => {
    for (const levels of opened) levels.close();
    client?.disconnect();
    await proxy?.end();
  });

  /** A server's limiter; `until` resolves when it shares, or is alone, for the so-manieth time. */
  function server() {
    const said: string[] = [];
    let look = () => {};
    const say = (word: string) => {
      said.push(word);
      look();
    };
    const levels = new RedisLevels({
      url: `redis://127.0.0.1:${proxy.port}`,
      reconnectDelayMs: () => 20,
      // This process is the network too, and may be slow.
      answerMsMax: 1_000,
      listener: { shared: () => say("shared"), alone: () => say("alone") },
    });
    opened.push(levels);
    const local = new LocalLimiter(Date.now);
    const until = (word: string, times = 1) =>
      new Promise<void>((resolve) => {
        look = () => said.filter((one) => one === word).length >= times && resolve();
        look();
      });
    return { limiter: new SharedLimiter(levels, local, Date.now), levels, local, said, until };
  }

  describe("with a Redis that answers", () => {
    let one: ReturnType<typeof server>;
    beforeAll(async () => {
      one = server();
      await one.until("shared");
    });
    limiterContract("the limiter of several servers", () => ({
      limiter: one.limiter,
      // Redis' clock isn't ours to move.
      pass: (spanMs) => new Promise((resolve) => setTimeout(resolve, spanMs)),
      now: Date.now,
    }));
  });

  it("allow to several servers together what they allow to one", async () => {
    const servers = [server(), server(), server()];
    await Promise.all(servers.map(({ until }) => until("shared")));
    const id = freshId();
    const asked = Array.from({ length: 90 }, (_, i) => servers[i % 3]?.limiter.take(id, [limit({ limit: 50 })], 1));
    const decisions = await Promise.all(asked);
    expect(decisions.filter((decision) => decision?.allowed)).toHaveLength(50);
  });

  it.each([
    ["is gone", () => proxy.close()],
    ["doesn't answer", () => proxy.stall()],
  ])(
    "are kept by each server alone while Redis %s, from where they were, and shared again after",
    async (_how, fail) => {
      const one = server();
      await one.until("shared");
      const id = freshId();
      await one.limiter.take(id, [limit()], 3);
      fail();
      expect(await one.limiter.take(id, [limit()], 1)).toMatchObject({ allowed: true, states: [{ remaining: 1 }] });
      expect(one.said).toEqual(["shared", "alone"]);
      // At once now: nobody waits for what didn't answer.
      expect(one.limiter.take(id, [limit()], 2)).toMatchObject({ allowed: false });
      expect(one.limiter.take(id, [limit()], 1)).toMatchObject({ allowed: true, states: [{ remaining: 0 }] });
      proxy.restore();
      await one.until("shared", 2);
      expect((await one.limiter.take(id, [limit()], 1)).allowed).toBe(false);
      // What was taken alone counts for the others, as soon as something is taken together.
      const wider = [limit({ limit: 7 })];
      expect((await one.limiter.take(id, wider, 1)).allowed).toBe(true);
      const other = server();
      await other.until("shared");
      expect(await other.limiter.take(id, wider, 0)).toMatchObject({ states: [{ remaining: 1 }] });
    },
  );

  /** Deps of a server, and a way to wait for a condition that what it logs makes true. */
  function listening() {
    let look = () => {};
    const told = () => look();
    const until = (condition: () => boolean) =>
      new Promise<void>((resolve) => {
        look = () => condition() && resolve();
        look();
      });
    const log = { debug() {}, info: told, warn: told, error() {}, child: () => log };
    return { deps: { log, now: Date.now }, until };
  }

  const daily = [{ name: "api", limit: 5n, period: { seconds: 86_400n, nanos: 0 } }];
  const isShared = ({ app }: TestApp) => app.readiness.degraded().length === 0;

  it("are one for two servers of a store", async () => {
    const { deps, until } = listening();
    const settings = { ICHOR_REDIS_URL: url, ICHOR_WAKE_UPS: "off" };
    const one = await startTestApp(deps, undefined, settings);
    const other = await startTestApp(deps, one, settings);
    try {
      const { credential } = await one.admin().issueApiKey({ name: "k", rateLimits: daily });
      await until(() => isShared(one) && isShared(other));
      const verify = async (app: TestApp) =>
        (await app.admin(one.rootCredential).verifyCredential({ credential })).code;
      const found = await Promise.all([one, other, one, other, one, other, one, other].map(verify));
      expect(found.filter((code) => code === VerificationCode.VALID)).toHaveLength(5);
    } finally {
      await other.close();
      await one.close();
    }
  });

  it("are kept by a server that lost Redis, which is ready and says so until Redis is back", async () => {
    const { deps, until } = listening();
    const settings = { ICHOR_REDIS_URL: `redis://127.0.0.1:${proxy.port}`, ICHOR_WAKE_UPS: "off" };
    const one = await startTestApp(deps, undefined, settings);
    try {
      const { credential } = await one.admin().issueApiKey({ name: "k", rateLimits: daily });
      await until(() => isShared(one));
      proxy.close();
      await until(() => !isShared(one));
      expect([one.app.readiness.degraded(), one.app.readiness.reasons()]).toEqual([["shared_limits"], []]);
      const requests = Array.from({ length: 8 }, () => ({ credential }));
      const { responses } = await one.admin().batchVerifyCredentials({ requests });
      expect(responses.filter(({ code }) => code === VerificationCode.VALID)).toHaveLength(5);
      proxy.restore();
      await until(() => isShared(one));
    } finally {
      await one.close();
    }
  });

  it.each([
    [
      "rate limits",
      (login: string, told: (error: unknown) => void) => {
        const listener = { shared() {}, alone: told };
        return new RedisLevels({ url: login, reconnectDelayMs: () => 5_000, listener });
      },
    ],
    [
      "wake-ups",
      (login: string, told: (error: unknown) => void) =>
        redisChannel(login, { heard() {}, connected() {}, lost: told }),
    ],
  ])("tell no password when Redis refuses it: %s", async (_of, open) => {
    const login = new URL(url);
    login.username = "nobody";
    login.password = "planted-password";
    let opened: { close(): unknown } | undefined;
    const error = await new Promise((resolve) => {
      opened = open(login.href, resolve);
    });
    await opened?.close();
    expect(String(error)).toContain("WRONGPASS");
    expect(inspect(error, { depth: 9, showHidden: true })).not.toContain("planted-password");
  });

  it("aren't forgotten with a Redis that lost everything", async () => {
    const one = server();
    await one.until("shared");
    const id = freshId();
    await one.limiter.take(id, [limit()], 4);
    await client.del(`ichor:limit:${id}`);
    expect(await one.limiter.take(id, [limit()], 2)).toMatchObject({ allowed: false, states: [{ remaining: 1 }] });
  });

  it("are found by a Redis that has lost the script", async () => {
    const one = server();
    await one.until("shared");
    await client.call("SCRIPT", "FLUSH");
    const id = freshId();
    const asked = Array.from({ length: 20 }, () => one.limiter.take(id, [limit()], 1));
    expect((await Promise.all(asked)).filter(({ allowed }) => allowed)).toHaveLength(5);
    expect(one.said).toEqual(["shared"]);
  });

  it("leave nothing in Redis once they are whole again", async () => {
    const one = server();
    await one.until("shared");
    const id = freshId();
    await one.limiter.take(id, [limit({ limit: 5, periodMs: 10_000 })], 5);
    const leftMs = await client.pttl(`ichor:limit:${id}`);
    expect(leftMs).toBeGreaterThan(5_000);
    expect(leftMs).toBeLessThanOrEqual(11_000);
    const asked = freshId();
    await one.limiter.take(asked, [limit()], 0);
    expect(await client.exists(`ichor:limit:${asked}`)).toBe(0);
  });
});
