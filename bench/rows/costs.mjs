import { alternate } from "../lib/alternate.mjs";
import { figure } from "../lib/report.mjs";
import { startTargets } from "../lib/target.mjs";
import { verifyOverGrpc, verifyOverHttp1 } from "./loads.mjs";

/** What the log costs that the default configuration writes. */
export const verifyLogs = {
  title: "VerifyCredential, warm: the cost of a log line per request",
  contenders: [
    { name: "log level info (default)", target: "ichor", load: (told) => verifyOverHttp1(told) },
    {
      name: "log level warn",
      target: "ichor",
      env: { ICHOR_LOG_LEVEL: "warn" },
      load: (told) => verifyOverHttp1(told),
    },
  ],
  compare: [{ of: "log level info (default)", to: "log level warn" }],
};

const plain = { name: "default, without telemetry", target: "ichor", load: (told) => verifyOverHttp1(told) };

/** Uses that a verification notes: of the caller's key, and of the one that is verified. */
const usesPerCall = 2;

/** What it costs that last use is noted, which nothing turns off: measured by itself, as a part of the whole. */
export const verifyUse = {
  title: "VerifyCredential, warm: the part of noting the last use of two keys",
  async measure({ rounds, seconds, folder, say }) {
    const [server] = await startTargets({ contenders: [plain] }, folder);
    try {
      await server.ask("use");
      const parts = [];
      for (let round = 0; round < rounds; round++) {
        const samples = await alternate([server], { rounds: 1, seconds, say });
        const [{ cpuMicros }] = samples[plain.name];
        parts.push((usesPerCall * (await server.ask("use")) * 100) / cpuMicros);
      }
      return [figure("noting the last use", "all CPU of a call", "%", parts)];
    } finally {
      await server.stop();
    }
  },
};

/** What metrics and traces cost. */
export const verifyTelemetry = {
  title: "VerifyCredential, warm: the cost of metrics and of traces",
  contenders: [
    plain,
    { ...plain, name: "metrics for Prometheus", env: { ICHOR_METRICS_LISTEN: "127.0.0.1:0" } },
    {
      ...plain,
      name: "traces of 1 % and metrics to a collector",
      env: { BENCH_COLLECTOR: "on", ICHOR_TRACE_SAMPLE_RATIO: "0.01" },
    },
    { ...plain, name: "traces of all and metrics to a collector", env: { BENCH_COLLECTOR: "on" } },
  ],
  compare: [
    { of: "metrics for Prometheus", to: plain.name },
    { of: "traces of 1 % and metrics to a collector", to: plain.name },
    { of: "traces of all and metrics to a collector", to: plain.name },
  ],
};

/** What TLS costs on connections that are open. */
export const verifyTls = {
  title: "VerifyCredential, warm: the cost of TLS, Connect JSON over HTTP/1.1",
  contenders: [
    { ...plain, name: "cleartext" },
    { ...plain, name: "TLS", env: { BENCH_TLS: "on" }, load: (told) => ({ ...verifyOverHttp1(told), tls: true }) },
  ],
  compare: [{ of: "TLS", to: "cleartext" }],
};

/** The same over gRPC. */
export const verifyTlsGrpc = {
  title: "VerifyCredential, warm: the cost of TLS, gRPC over HTTP/2",
  contenders: [
    { ...plain, name: "cleartext", load: verifyOverGrpc },
    { ...plain, name: "TLS", env: { BENCH_TLS: "on" }, load: (told) => ({ ...verifyOverGrpc(told), tls: true }) },
  ],
  compare: [{ of: "TLS", to: "cleartext" }],
};

const limited = { rateLimits: [{ name: "api", limit: 1_000_000_000, period: "1s" }] };
const redisUrl = process.env.BENCH_REDIS_URL;

/** What it costs that a key has a rate limit, kept by one server, or in the Redis that `BENCH_REDIS_URL` names. */
export const verifyLimits = {
  title: "VerifyCredential, warm: the cost of a rate limit",
  contenders: [
    { ...plain, name: "no rate limit" },
    { ...plain, name: "a rate limit, one server", options: () => ({ fields: limited }) },
    ...(redisUrl === undefined
      ? []
      : [
          {
            ...plain,
            name: "a rate limit in Redis",
            env: { ICHOR_REDIS_URL: redisUrl },
            options: () => ({ fields: limited }),
          },
        ]),
  ],
  compare: [
    { of: "a rate limit, one server", to: "no rate limit" },
    ...(redisUrl === undefined ? [] : [{ of: "a rate limit in Redis", to: "no rate limit" }]),
  ],
};

/** What several processes bring, and cost. */
export const verifyWorkers = {
  title: "VerifyCredential, warm: one process, and two workers with their primary",
  contenders: [
    { ...plain, name: "one process" },
    { ...plain, name: "two workers", env: { ICHOR_WORKERS: "2" }, withChildren: true },
  ],
  compare: [{ of: "two workers", to: "one process" }],
};
