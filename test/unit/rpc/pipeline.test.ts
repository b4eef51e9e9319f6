import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { GetApiKeyRequestSchema } from "../../../gen/ichor/v1/admin_service_pb.ts";
import { IchorError } from "../../../services/core/errors.ts";
import type { Call, Carrier } from "../../../services/rpc/call.ts";
import { callTimeoutMsMax } from "../../../services/rpc/pipeline.ts";
import { callers, defaultTenantId, type FakeRpcOptions, fakeRpc, otherTenantId } from "../../support/fake-server.ts";

const method = "ichor.v1.AdminService/GetApiKey";

interface Sent extends Partial<Omit<Carrier, "header">> {
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeout?: number;
}

function carrierOf({ headers = { authorization: "Bearer root" }, timeout, ...rest }: Sent = {}): Carrier {
  return {
    header: (name) => headers[name],
    peerAddress: "192.0.2.1",
    signal: new AbortController().signal,
    onClose: () => {},
    timeoutMs: () => timeout,
    ...rest,
  };
}

/** Calls GetApiKey through the pipeline: the call that the method got, or the reason of the failure. */
async function callGetApiKey(
  sent?: Sent,
  options?: FakeRpcOptions,
  run: (call: Call) => Promise<object> = async () => ({}),
) {
  const calls: Call[] = [];
  const rpc = fakeRpc({
    ...options,
    methods: {
      getApiKey: (_request, call) => {
        calls.push(call);
        return run(call);
      },
    },
  });
  const registered = rpc.registry.unary.get(method);
  if (registered === undefined) throw new Error("GetApiKey isn't registered");
  const outcome = Promise.resolve(
    rpc.pipeline.unary(registered, () => create(GetApiKeyRequestSchema), carrierOf(sent)),
  ).then(
    () => "OK",
    (error: ConnectError) => error.findDetails(ErrorInfoSchema)[0]?.reason ?? Code[error.code],
  );
  return { calls, outcome, ...rpc };
}

const asCaller = (credential: string, tenant?: string): Sent => ({
  headers: { authorization: `Bearer ${credential}`, ...(tenant === undefined ? {} : { "ichor-tenant": tenant }) },
});

describe("unary", () => {
  it("tells the method who calls, where and from where", async () => {
    const { calls, outcome } = await callGetApiKey();
    expect(await outcome).toBe("OK");
    const [call] = calls;
    expect(call).toMatchObject({ method, caller: callers.root, tenantId: defaultTenantId, clientAddress: "192.0.2.1" });
    expect(call?.signal.aborted).toBe(false);
  });

  it("refuses everything when it drains, before it looks at the credential", async () => {
    const authenticate = vi.fn();
    const { outcome } = await callGetApiKey({}, { deps: { isDraining: () => true, authenticate } });
    expect(await outcome).toBe("DRAINING");
    expect(authenticate).not.toHaveBeenCalled();
  });

  it.each<[string, Sent, string]>([
    ["no credential", { headers: {} }, "CREDENTIAL_MISSING"],
    ["another scheme", { headers: { authorization: "Basic cm9vdA==" } }, "CREDENTIAL_MISSING"],
    ["a credential of nobody", asCaller("nobody"), "CREDENTIAL_REFUSED"],
    ["a credential of nobody that names a tenant", asCaller("nobody", "other"), "CREDENTIAL_REFUSED"],
    ["a caller without ichor:system that names a tenant", asCaller("reader", "other"), "TENANT_NOT_ALLOWED"],
    ["a caller without ichor:system that names its own tenant", asCaller("reader", "default"), "TENANT_NOT_ALLOWED"],
    ["a root of another tenant that names a tenant", asCaller("other-root", "default"), "TENANT_NOT_ALLOWED"],
    ["an empty tenant", asCaller("root", ""), "TENANT_NOT_FOUND"],
    ["a tenant that isn't there", asCaller("root", "nowhere"), "TENANT_NOT_FOUND"],
  ])("refuses %s", async (_name, sent, reason) => {
    const { calls, outcome } = await callGetApiKey(sent);
    expect(await outcome).toBe(reason);
    expect(calls).toEqual([]);
  });

  it("looks no tenant up for callers that may not name one", async () => {
    const resolveTenant = vi.fn();
    await (await callGetApiKey(asCaller("reader", "other"), { deps: { resolveTenant } })).outcome;
    expect(resolveTenant).not.toHaveBeenCalled();
  });

  it.each([otherTenantId, "other"])(
    "acts in the tenant that a caller of the whole system names: %s",
    async (tenant) => {
      const { calls, outcome } = await callGetApiKey(asCaller("root", tenant));
      expect(await outcome).toBe("OK");
      expect(calls[0]?.tenantId).toBe(otherTenantId);
    },
  );

  it("refuses a caller without the method's scope, after it knows tenant and caller", async () => {
    const nobody = { ...callers.reader, scopes: ["ichor:keys:write", "*"] } as typeof callers.root;
    const { outcome, calls } = await callGetApiKey({}, { deps: { authenticate: async () => nobody as never } });
    expect(await outcome).toBe("SCOPE_MISSING");
    expect(calls).toEqual([]);
  });

  it("records each call once, with its caller and its failure", async () => {
    const good = await callGetApiKey();
    await good.outcome;
    expect(good.records).toMatchObject([
      {
        method,
        open: false,
        peerAddress: "192.0.2.1",
        caller: callers.root,
        tenantId: defaultTenantId,
        failure: undefined,
      },
    ]);
    const bad = await callGetApiKey({}, {}, async () => {
      throw new Error("a bug");
    });
    await bad.outcome;
    expect(bad.records).toMatchObject([{ caller: callers.root, failure: { reason: "INTERNAL", level: "error" } }]);
    const refused = await callGetApiKey({ headers: {} });
    await refused.outcome;
    expect(refused.records).toMatchObject([
      { caller: undefined, tenantId: undefined, failure: { reason: "CREDENTIAL_MISSING" } },
    ]);
  });

  it("also makes a synchronous throw of a port or a method an answer", async () => {
    const thrower = () => {
      throw new TypeError("a bug");
    };
    expect(await (await callGetApiKey({}, { deps: { authenticate: thrower } })).outcome).toBe("INTERNAL");
    expect(await (await callGetApiKey({}, {}, thrower)).outcome).toBe("INTERNAL");
  });
});

describe("deadline", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const forever = () => new Promise<never>(() => {});

  it.each([
    [5_000, 5_000],
    [undefined, callTimeoutMsMax],
    [callTimeoutMsMax * 10, callTimeoutMsMax],
  ])("ends a call that asked for %s ms after %d ms, and aborts its signal with the reason", async (timeout, endsMs) => {
    const { calls, outcome } = await callGetApiKey(timeout === undefined ? {} : { timeout }, {}, (call) => {
      void call.signal;
      return forever();
    });
    let ended = false;
    void outcome.then(() => (ended = true));
    await vi.advanceTimersByTimeAsync(endsMs - 1);
    expect(ended).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(await outcome).toBe("DEADLINE_EXCEEDED");
    expect(calls[0]?.signal.reason).toMatchObject({ reason: "DEADLINE_EXCEEDED" });
  });

  it("covers authentication too", async () => {
    const { outcome, calls } = await callGetApiKey({ timeout: 10 }, { deps: { authenticate: forever } });
    await vi.advanceTimersByTimeAsync(10);
    expect(await outcome).toBe("DEADLINE_EXCEEDED");
    expect(calls).toEqual([]);
  });

  it.each([0, -1])("does not begin a call with %d ms left", async (timeout) => {
    const authenticate = vi.fn();
    const { outcome } = await callGetApiKey({ timeout }, { deps: { authenticate } });
    expect(await outcome).toBe("DEADLINE_EXCEEDED");
    expect(authenticate).not.toHaveBeenCalled();
  });

  it("leaves no timer behind", async () => {
    await (await callGetApiKey()).outcome;
    await (await callGetApiKey({ headers: {} })).outcome;
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a client that goes away", () => {
  const gone = new ConnectError("gone", Code.Canceled);

  it("begins nothing for a client that is gone", async () => {
    const { outcome, calls } = await callGetApiKey({ signal: AbortSignal.abort(gone) });
    expect(await outcome).toBe("Canceled");
    expect(calls).toEqual([]);
  });

  it("aborts the method's signal with the transport's reason", async () => {
    const client = new AbortController();
    const { outcome, calls } = await callGetApiKey({ signal: client.signal }, {}, ({ signal }) => {
      const aborted = new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      client.abort(gone);
      return aborted;
    });
    expect(await outcome).toBe("Canceled");
    expect(calls[0]?.signal.reason).toBe(gone);
  });

  it("aborts nothing once the call has answered", async () => {
    const client = new AbortController();
    const { outcome, calls } = await callGetApiKey({ signal: client.signal }, {}, async (call) => {
      void call.signal;
      return {};
    });
    await outcome;
    client.abort(gone);
    expect(calls[0]?.signal.aborted).toBe(false);
  });

  it("makes no signal for a transport that can tell without one", async () => {
    const carrier = {
      aborted: false,
      get signal(): AbortSignal {
        throw new Error("made a signal");
      },
    };
    const rpc = fakeRpc();
    const registered = rpc.registry.unary.get(method);
    if (registered === undefined) throw new Error("GetApiKey isn't registered");
    const lazy: Carrier = Object.create(carrierOf(), Object.getOwnPropertyDescriptors(carrier));
    await rpc.pipeline.unary(registered, () => create(GetApiKeyRequestSchema), lazy);
    expect(rpc.records[0]?.failure).toBeUndefined();
  });
});

describe("screen", () => {
  it("refuses before any request, records that once, and gives who passes", async () => {
    const { pipeline, registry, records } = fakeRpc();
    const registered = registry.unary.get(method);
    if (registered === undefined) throw new Error("GetApiKey isn't registered");
    await expect(pipeline.screen(registered, carrierOf({ headers: {} }))).rejects.toBeInstanceOf(ConnectError);
    expect(records).toMatchObject([{ method, failure: { reason: "CREDENTIAL_MISSING" } }]);
    const screened = await pipeline.screen(registered, carrierOf());
    expect(screened).toEqual({ caller: callers.root, tenantId: defaultTenantId });
    expect(records).toHaveLength(1);
    pipeline.refuse(method, false, carrierOf(), new IchorError("REQUEST_TOO_LARGE", "too large"), screened);
    expect(records[1]).toMatchObject({ caller: callers.root, tenantId: defaultTenantId });
  });

  it("keeps a request from being decoded for who may not call", async () => {
    const { pipeline, registry } = fakeRpc();
    const registered = registry.unary.get(method);
    if (registered === undefined) throw new Error("GetApiKey isn't registered");
    const decode = vi.fn();
    await expect(pipeline.unary(registered, decode, carrierOf(asCaller("nobody")))).rejects.toThrow();
    expect(decode).not.toHaveBeenCalled();
  });
});

describe("streams of open methods", () => {
  it("are bounded in number, and free their place when they end", async () => {
    const { pipeline, records } = fakeRpc({ deps: { openStreamsMax: 1 } });
    async function* endless() {
      for (;;) yield 1;
    }
    const open = () => pipeline.openStream("open/Stream", carrierOf(), endless)[Symbol.asyncIterator]();
    const first = open();
    await first.next();
    await expect(open().next()).rejects.toMatchObject({ code: Code.ResourceExhausted });
    expect(records).toMatchObject([{ failure: { reason: "TOO_MANY_STREAMS" } }]);
    await first.return?.();
    expect(await open().next()).toMatchObject({ value: 1 });
  });
});

describe("open and openStream", () => {
  it("answer while the server drains, and need no credential", async () => {
    const { pipeline, readiness, records } = fakeRpc();
    readiness.drain();
    expect(await pipeline.open("open/Method", carrierOf({ headers: {} }), async () => 7)).toBe(7);
    expect(records).toMatchObject([{ method: "open/Method", open: true, failure: undefined }]);
  });

  it("record a stream when it ends, and turn its throws into ConnectErrors", async () => {
    const { pipeline, records } = fakeRpc();
    async function* failing() {
      yield 1;
      throw new TypeError("a bug");
    }
    const seen: number[] = [];
    const reading = (async () => {
      for await (const item of pipeline.openStream("open/Stream", carrierOf(), failing)) seen.push(item);
    })();
    await expect(reading).rejects.toMatchObject({ code: Code.Internal });
    expect(seen).toEqual([1]);
    expect(records).toMatchObject([{ method: "open/Stream", failure: { reason: "INTERNAL" } }]);
  });
});
