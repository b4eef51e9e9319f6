import { create } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../gen/grpc/health/v1/health_pb.ts";
import { healthService } from "../../../services/rpc/health.ts";
import { createReadiness } from "../../../services/rpc/readiness.ts";

function makeHealth() {
  const readiness = createReadiness();
  const client = new AbortController();
  const carrier = {
    header: () => undefined,
    peerAddress: "",
    signal: client.signal,
    onClose: () => {},
    timeoutMs: () => undefined,
  };
  const [check, watch] = healthService(["ichor.v1.AdminService"], readiness).open;
  const request = (service: string) => create(HealthCheckRequestSchema, { service });
  return {
    readiness,
    client,
    check: (service: string): Promise<{ status: Status }> => check?.run(request(service), carrier),
    watch: (service: string): AsyncGenerator<{ status: Status }> => watch?.run(request(service), carrier),
  };
}

describe("Check", () => {
  it.each(["", "ichor.v1.AdminService"])("tells whether %j takes calls", async (service) => {
    const { check, readiness } = makeHealth();
    expect(await check(service)).toEqual({ status: Status.SERVING });
    readiness.set("store", true);
    expect(await check(service)).toEqual({ status: Status.NOT_SERVING });
    readiness.set("store", false);
    expect(await check(service)).toEqual({ status: Status.SERVING });
    readiness.drain();
    expect(await check(service)).toEqual({ status: Status.NOT_SERVING });
  });

  it("knows no other service", async () => {
    await expect(makeHealth().check("ichor.v1.Nothing")).rejects.toMatchObject({ code: Code.NotFound });
  });
});

describe("Watch", () => {
  it("tells the state, then each change of it", async () => {
    const { watch, readiness } = makeHealth();
    const states = watch("");
    expect((await states.next()).value).toEqual({ status: Status.SERVING });
    readiness.set("store", true);
    expect((await states.next()).value).toEqual({ status: Status.NOT_SERVING });
    // Another reason changes nothing that can be seen.
    readiness.set("migrations", true);
    readiness.set("migrations", false);
    readiness.set("store", false);
    expect((await states.next()).value).toEqual({ status: Status.SERVING });
  });

  it("tells that the server drains, and ends", async () => {
    const { watch, readiness } = makeHealth();
    const states = watch("");
    await states.next();
    const next = states.next();
    readiness.drain();
    expect((await next).value).toEqual({ status: Status.NOT_SERVING });
    await expect(states.next()).rejects.toMatchObject({ reason: "DRAINING" });
  });

  it("tells that the server drains even to a reader that was slow", async () => {
    const { watch, readiness } = makeHealth();
    const states = watch("");
    await states.next();
    readiness.drain();
    expect((await states.next()).value).toEqual({ status: Status.NOT_SERVING });
    await expect(states.next()).rejects.toMatchObject({ reason: "DRAINING" });
  });

  it("stays open for a service that may yet come", async () => {
    const { watch, client } = makeHealth();
    const states = watch("ichor.v1.Nothing");
    expect((await states.next()).value).toEqual({ status: Status.SERVICE_UNKNOWN });
    const next = states.next();
    client.abort(new Error("gone"));
    expect((await next).done).toBe(true);
  });
});
