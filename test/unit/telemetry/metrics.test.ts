import { MeterProvider, MetricReader } from "@opentelemetry/sdk-metrics";
import { describe, expect, it } from "vitest";
import { IchorError } from "../../../services/core/errors.ts";
import { failureOf } from "../../../services/rpc/error-boundary.ts";
import { instruments } from "../../../services/telemetry/instruments.ts";
import { measureCalls } from "../../../services/telemetry/measure-calls.ts";
import { Metrics } from "../../../services/telemetry/metrics.ts";

class Reader extends MetricReader {
  protected override async onForceFlush() {}
  protected override async onShutdown() {}
}

/** A provider whose values the test reads: `name attribute=value … → value` (of a distribution: how many). */
function collecting() {
  const reader = new Reader();
  const provider = new MeterProvider({ readers: [reader] });
  const collect = async () => {
    const { resourceMetrics } = await reader.collect();
    const metrics = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics);
    return metrics.flatMap(({ descriptor, dataPoints }) =>
      dataPoints.map(({ attributes, value }) => {
        const shown = Object.entries(attributes).map(([name, text]) => ` ${name}=${text}`);
        return `${descriptor.name}${shown.join("")} → ${typeof value === "number" ? value : value.count}`;
      }),
    );
  };
  return { provider, collect };
}

describe("Metrics", () => {
  it("gives what was counted when it is collected, and again with what came since", async () => {
    const { provider, collect } = collecting();
    const metrics = new Metrics(provider);
    const derived = metrics.counts("ichor.tokens.derived");
    derived("JWT").value += 2;
    derived("MACAROON").value++;
    expect(await collect()).toEqual([
      "ichor.tokens.derived ichor.format=JWT → 2",
      "ichor.tokens.derived ichor.format=MACAROON → 1",
    ]);
    derived("JWT").value++;
    expect(await collect()).toContain("ichor.tokens.derived ichor.format=JWT → 3");
  });

  it("tells each pair of attributes apart", async () => {
    const { provider, collect } = collecting();
    const counts = new Metrics(provider).counts("ichor.verifications");
    counts("VALID", "ISSUED").value++;
    counts("VALID", "JWT").value++;
    counts("EXPIRED", "JWT").value++;
    expect(await collect()).toEqual([
      "ichor.verifications ichor.code=VALID ichor.kind=ISSUED → 1",
      "ichor.verifications ichor.code=VALID ichor.kind=JWT → 1",
      "ichor.verifications ichor.code=EXPIRED ichor.kind=JWT → 1",
    ]);
  });

  it("reads gauges when they are collected, and tells nothing of one that has never had a value", async () => {
    const { provider, collect } = collecting();
    const metrics = new Metrics(provider);
    let age: number | undefined;
    metrics.observe("ichor.log.age", {}, () => age);
    expect(await collect()).toEqual([]);
    age = 1.5;
    expect(await collect()).toEqual(["ichor.log.age → 1.5"]);
  });

  it("tells nothing once it is closed", async () => {
    const { provider, collect } = collecting();
    const metrics = new Metrics(provider);
    metrics.observe("ichor.log.age", {}, () => 1);
    metrics.close();
    expect(await collect()).toEqual([]);
  });

  it("counts without a provider", () => {
    const count = new Metrics(undefined).count("ichor.store.commits", {});
    count.value++;
    expect(count.value).toBe(1);
  });
});

describe("measureCalls", () => {
  const call = {
    method: "ichor.v1.AdminService/GetApiKey",
    system: "grpc",
    open: false,
    durationMs: 3,
    clientAddress: "192.0.2.1",
    peerAddress: "192.0.2.1",
    caller: undefined,
    tenantId: undefined,
    failure: undefined,
    traceId: undefined,
  } as const;

  it("measures calls by system, method, status and reason, and by nothing that names a caller", async () => {
    const { provider, collect } = collecting();
    const measure = measureCalls(new Metrics(provider));
    measure(call);
    measure(call);
    measure({ ...call, failure: failureOf(new IchorError("KEY_NOT_FOUND", "no such key"), false) });
    measure({ ...call, failure: failureOf(Object.assign(new Error(), { name: "AbortError" }), true) });
    const of = (end: string) =>
      `rpc.server.call.duration rpc.system.name=grpc rpc.method=${call.method} rpc.response.status_code=${end}`;
    expect(await collect()).toEqual([
      of("OK error.type= → 2"),
      of("NOT_FOUND error.type=KEY_NOT_FOUND → 1"),
      of("CANCELED error.type=CANCELED → 1"),
    ]);
  });
});

describe("the list of instruments", () => {
  it.each(Object.entries(instruments))("has a name, a unit and a help of the form that it should: %s", (name, spec) => {
    expect(name).toMatch(/^(ichor|rpc|db|process|nodejs|v8js)(\.[a-z][a-z0-9_]*)+$/);
    expect(spec.unit).toMatch(/^(s|By|1|\{[a-z]+\})$/);
    expect(spec.help).toMatch(/^[A-Z0-9].*\.$/);
    for (const attribute of spec.attributes) expect(attribute).not.toMatch(/tenant|key|owner|address/);
  });
});
