import { expect, it } from "vitest";
import type { Caller } from "../../../services/core/caller.ts";
import type { Carrier, EndListener, LastingStream } from "../../../services/rpc/call.ts";
import type { StreamMethod } from "../../../services/rpc/method-registry.ts";
import { createPipeline } from "../../../services/rpc/pipeline.ts";
import { someKeyId, someTenantId } from "../core/some-key.ts";

const caller: Caller = {
  keyId: someKeyId,
  tenantId: someTenantId,
  inDefaultTenant: false,
  scopes: ["ichor:keyset:watch"],
  kind: "ISSUED_KEY",
};
const carrier: Carrier = {
  header: () => undefined,
  peerAddress: "",
  signal: new AbortController().signal,
  onClose() {},
  timeoutMs: () => undefined,
};
const sink = { bufferedBytes: 0, write() {}, drained: async () => {} };

it.each(["at once", "later"])(
  "a stream that ends %s is ended with an error if its end can't be recorded",
  async (when) => {
    const pipeline = createPipeline({
      authenticate: () => caller,
      credentialOf: () => "",
      clientAddress: () => "",
      resolveTenant: async () => someTenantId,
      limitCaller() {},
      isDraining: () => false,
      record() {
        throw new Error("no space left");
      },
      monotonicMs: () => 0,
    });
    let listener: EndListener<LastingStream> | undefined;
    const lasting: LastingStream = { refusal: undefined, onEnd: (one) => (listener = one) };
    const run = async () => (when === "later" ? lasting : undefined);
    const method = { name: "s/m", access: { scope: "ichor:keyset:watch" }, run } as unknown as StreamMethod;
    const done = new Promise((resolve) => {
      pipeline.stream(method, {} as never, carrier, sink, { done: resolve });
    });
    if (when === "later") {
      await expect.poll(() => listener).toBeDefined();
      listener?.ended(lasting);
    }
    expect(await done).toMatchObject({ code: 13 });
  },
);
