import { describe, expect, it } from "vitest";
import { errorReasons, IchorError } from "../../../services/core/errors.ts";
import { type CallRecord, logCalls } from "../../../services/rpc/call-record.ts";
import { failureOf } from "../../../services/rpc/error-boundary.ts";
import { callers, collectLog, defaultTenantId, otherTenantId } from "../../support/fake-server.ts";

const good: CallRecord = {
  system: "grpc",
  method: "ichor.v1.AdminService/GetApiKey",
  open: false,
  durationMs: 1.23456,
  clientAddress: "192.0.2.1",
  peerAddress: "192.0.2.1",
  caller: callers.root,
  tenantId: defaultTenantId,
  failure: undefined,
  traceId: undefined,
};

function linesOf(...records: CallRecord[]) {
  const log = collectLog();
  records.forEach(logCalls(log));
  return log.lines;
}

describe("logCalls", () => {
  it("writes one line for a call, with ids", () => {
    expect(linesOf(good)).toEqual([
      {
        level: "info",
        message: "call",
        fields: {
          method: good.method,
          code: "OK",
          durationMs: 1.23,
          clientAddress: "192.0.2.1",
          keyId: "key_root",
          tenantId: defaultTenantId,
        },
      },
    ]);
  });

  it("writes the same fields for the same caller, each with its method, tenant and address", () => {
    const method = "ichor.v1.AdminService/ListApiKeys";
    const other = { method, tenantId: otherTenantId, clientAddress: "192.0.2.2", peerAddress: "192.0.2.2" };
    const records = [good, good, { ...good, ...other }, { ...good, tenantId: otherTenantId }, good];
    expect(linesOf(...records).map(({ fields }) => fields)).toMatchObject(
      records.map(({ method, tenantId, clientAddress }) => ({ method, tenantId, clientAddress, keyId: "key_root" })),
    );
  });

  it("names the peer beside the client if it is another, as a proxy", () => {
    const [line] = linesOf({ ...good, peerAddress: "10.0.0.1" });
    expect(line?.fields).toMatchObject({ clientAddress: "192.0.2.1", peerAddress: "10.0.0.1" });
  });

  it("writes good probes at debug and failed ones where all failures go", () => {
    const failure = failureOf(new Error("bug"), false);
    expect(linesOf({ ...good, open: true }, { ...good, open: true, failure }).map(({ level }) => level)).toEqual([
      "debug",
      "error",
    ]);
  });

  it.each(errorReasons)("never writes what %s tells its caller, since it may quote the request", (reason) => {
    const failure = failureOf(new IchorError(reason, "quotes ichor_sk_secret"), false);
    const [line] = linesOf({ ...good, failure });
    expect(line?.fields).toMatchObject({ reason });
    expect(JSON.stringify(line)).not.toContain("ichor_sk_secret");
  });

  it("writes the cause and the id of a server's fault", () => {
    const cause = new Error("disk is full");
    const failure = failureOf(cause, false);
    expect(linesOf({ ...good, failure })[0]).toMatchObject({
      level: "error",
      fields: { err: cause, logId: failure.logId, reason: "INTERNAL", code: "Internal" },
    });
  });
});
