import { create } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { codeToHttpStatus, errorToJson } from "@connectrpc/connect/protocol-connect";
import { IchorError } from "../core/errors.ts";
import { parseId, type TenantId } from "../core/ids.ts";
import { defaultTenantSlug, type Tenant } from "../core/tenant.ts";
import type { Carrier } from "../rpc/call.ts";
import { certifiedPeerOf } from "../rpc/certified-peer.ts";
import type { MethodRegistry, UnaryMethod } from "../rpc/method-registry.ts";
import { addressOf, type NodeRequest } from "../rpc/node-handler.ts";
import type { Pipeline } from "../rpc/pipeline.ts";
import { type PlainEndpoint, type PlainEndpoints, unlessKnown } from "./plain-endpoints.ts";

export interface KeySetDeps {
  readonly pipeline: Pick<Pipeline, "unary">;
  readonly registry: Pick<MethodRegistry, "unary">;
  readonly tenants: { getTenant(id: TenantId): Promise<Tenant | undefined> };
  readonly keySets: { of(tenantId: TenantId): Promise<SignedBytes> };
}

interface SignedBytes {
  readonly bytes: Uint8Array;
  /** Another one for other bytes. */
  readonly tag: string;
  /** How long they stay as they are, in ms. */
  readonly keptMs: number;
}

/** Whoever may call it may read this, which is logged and limited as that is. */
const sameAs = "ichor.v1.DerivationService/GetKeySet";

const path = "/v1/keyset";

/**
 * The public feed of a tenant as signed bytes, for who fetches it now and then, or hands it on: the messages that WatchKeySet
 * tells who begins, each with its length as a varint before it. Tenant `default` is at the root, another under
 * `/t/<tenant id>`, and the caller must act in it. With an ETag; errors are those of an RPC over Connect.
 */
export function keySetEndpoints(deps: KeySetDeps): PlainEndpoints {
  return { [path]: endpoint(deps), [`/t/*${path}`]: endpoint(deps) };
}

function endpoint({ pipeline, registry, tenants, keySets }: KeySetDeps): PlainEndpoint {
  const method = registry.unary.get(sameAs);
  if (method === undefined) throw new TypeError(`${sameAs} isn't served`);
  return async (request, wildcard) => {
    let told: SignedBytes | undefined;
    const reading: UnaryMethod = {
      ...method,
      async run(_, { tenantId }) {
        const tenant = await tenants.getTenant(tenantId);
        const named = tenant?.slug === defaultTenantSlug ? wildcard === "" : parseId("ten", wildcard) === tenantId;
        if (!named) throw new IchorError("TENANT_NOT_FOUND", "no such tenant, or the caller doesn't act in it");
        told = await keySets.of(tenantId);
        return {};
      },
    };
    try {
      await pipeline.unary(reading, () => create(method.desc.input), carrierOf(request));
    } catch (error) {
      // What the pipeline rejects with is recorded and ready to be sent.
      return failure(error as ConnectError);
    }
    if (told === undefined) throw new TypeError("the method ended without an answer");
    const headers = {
      etag: `"${told.tag}"`,
      // A cache that others read must decide for itself who may.
      "cache-control": `private, max-age=${told.keptMs / 1000}`,
      vary: "Authorization",
      "content-type": "application/x-protobuf; delimited=true",
    };
    return unlessKnown(request, { status: 200, headers, body: told.bytes });
  };
}

function failure(error: ConnectError) {
  const challenge = { "www-authenticate": "Bearer" };
  const status = codeToHttpStatus(error.code);
  const headers = { "cache-control": "no-store", ...(status === 401 && challenge) };
  return { status, headers, body: errorToJson(error, undefined) };
}

function carrierOf(request: NodeRequest): Carrier {
  return {
    header(name) {
      const value = request.headers[name];
      return Array.isArray(value) ? value.join(", ") : value;
    },
    peerAddress: addressOf(request.socket),
    certified: certifiedPeerOf(request.socket),
    // The answer is ready at once, or made for others as well.
    signal: new AbortController().signal,
    onClose: () => {},
    timeoutMs: () => undefined,
  };
}
