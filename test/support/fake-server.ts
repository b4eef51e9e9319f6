import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import type { Caller } from "../../services/core/caller.ts";
import { IchorError } from "../../services/core/errors.ts";
import type { KeyId, TenantId } from "../../services/core/ids.ts";
import { createFastUnary, type FastUnary } from "../../services/http/fast-unary.ts";
import { createListener, type Listener, type ListenerOptions } from "../../services/http/listener.ts";
import { createRequestHandler, probeEndpoints } from "../../services/http/plain-endpoints.ts";
import type { ScopedMethods } from "../../services/rpc/call.ts";
import type { CallRecord } from "../../services/rpc/call-record.ts";
import { connectRoutes } from "../../services/rpc/connect-routes.ts";
import { healthService } from "../../services/rpc/health.ts";
import type { Log, ParentLog } from "../../services/rpc/log.ts";
import { createMethodRegistry, scopedService } from "../../services/rpc/method-registry.ts";
import { createRpcHandler } from "../../services/rpc/node-handler.ts";
import { createPipeline, type PipelineDeps } from "../../services/rpc/pipeline.ts";
import { createReadiness } from "../../services/rpc/readiness.ts";
import { reflectionServices } from "../../services/rpc/reflection.ts";

export type AdminMethods = ScopedMethods<typeof AdminService>;

export const defaultTenantId = "ten_00000000000000000000000001" as TenantId;
export const otherTenantId = "ten_00000000000000000000000002" as TenantId;

const callerOf = (keyId: string, tenantId: TenantId, ...scopes: string[]): Caller => ({
  keyId: `key_${keyId}` as KeyId,
  tenantId,
  inDefaultTenant: tenantId === defaultTenantId,
  scopes,
  kind: "ISSUED_KEY",
});

/** Who each credential is. Any other is refused. */
export const callers: Readonly<Record<string, Caller>> = {
  root: callerOf("root", defaultTenantId, "ichor:*"),
  reader: callerOf("reader", defaultTenantId, "ichor:keys:read"),
  "other-root": callerOf("other", otherTenantId, "ichor:*"),
};

/** Keeps what it is given. */
export interface CollectedLog extends ParentLog {
  readonly lines: { readonly level: string; readonly fields: Record<string, unknown>; readonly message: string }[];
}

export function collectLog(): CollectedLog {
  const lines: CollectedLog["lines"] = [];
  const logWith = (first: object): Log => {
    const at = (level: string) => (fields: object, message: string) =>
      void lines.push({ level, fields: { ...first, ...fields }, message });
    return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  };
  return { lines, ...logWith({}), child: logWith };
}

export interface FakeRpcOptions {
  readonly methods?: Partial<AdminMethods>;
  readonly deps?: Partial<PipelineDeps>;
  readonly reflection?: boolean;
}

/** Everything between a transport and the methods of AdminService, which are fakes. */
export function fakeRpc({ methods = {}, deps = {}, reflection = true }: FakeRpcOptions = {}) {
  const records: CallRecord[] = [];
  const readiness = createReadiness();
  const pipeline = createPipeline({
    authenticate: async (presentedCredential) => {
      const caller = callers[presentedCredential];
      if (caller === undefined) throw new IchorError("CREDENTIAL_REFUSED", "the credential is not valid");
      return caller;
    },
    resolveTenant: async (idOrSlug) => {
      if (idOrSlug === "other" || idOrSlug === otherTenantId) return otherTenantId;
      throw new IchorError("TENANT_NOT_FOUND", "no such tenant");
    },
    clientAddress: ({ peerAddress }) => peerAddress,
    limitCaller: () => undefined,
    isDraining: () => readiness.draining,
    record: (record) => void records.push(record),
    monotonicMs: () => performance.now(),
    ...deps,
  });
  const served = [AdminService, Health];
  const registry = createMethodRegistry([
    scopedService(AdminService, { ...fakeMethods, ...methods }),
    healthService(
      served.map(({ typeName }) => typeName),
      readiness,
    ),
    ...(reflection ? reflectionServices(served) : []),
  ]);
  const routes = connectRoutes({ registry, pipeline, streamsEnd: readiness.drainSignal });
  return { records, readiness, pipeline, registry, routes };
}

export type FakeRpc = ReturnType<typeof fakeRpc>;

/** The same behind a real listener on a free port; `stock`: without the fast path. */
export async function startFakeServer(
  options: FakeRpcOptions & Partial<ListenerOptions> & { readonly stock?: boolean } = {},
) {
  const rpc = fakeRpc(options);
  const log = collectLog();
  const taken = { count: 0 };
  const fastUnary = options.stock ? undefined : counted(createFastUnary({ ...rpc, log }), taken);
  const handler = createRequestHandler(createRpcHandler(rpc.routes, log), probeEndpoints(rpc.readiness), log);
  const listener: Listener = createListener({ handler, ...(fastUnary && { fastUnary }), log, ...options });
  const address = await listener.listen("127.0.0.1", 0);
  return { ...rpc, ...address, log, listener, taken };
}

/** The fast path, counting the requests that it takes. */
function counted(fast: FastUnary, taken: { count: number }): FastUnary {
  const count = (took: boolean) => {
    if (took) taken.count += 1;
    return took;
  };
  return { http1: (...args) => count(fast.http1(...args)), http2: (...args) => count(fast.http2(...args)) };
}

export type FakeServer = Awaited<ReturnType<typeof startFakeServer>>;

const notFaked = async (): Promise<never> => {
  throw new Error("not faked: secret detail");
};

/** GetApiKey tells what it was called with; IssueApiKey and VerifyCredential answer; the rest fail like a bug. */
const fakeMethods: AdminMethods = {
  ...(Object.fromEntries(
    AdminService.methods.map(({ localName }) => [localName, notFaked]),
  ) as unknown as AdminMethods),
  getApiKey: async ({ keyId }, call) => {
    if (keyId === "key_none") throw new IchorError("KEY_NOT_FOUND", "no such key", { metadata: { key_id: keyId } });
    return { apiKey: { id: keyId, tenantId: call.tenantId, name: call.caller.keyId, ownerId: call.clientAddress } };
  },
  issueApiKey: async ({ name, scopes }, call) => ({
    apiKey: { id: "key_new", name, scopes, tenantId: call.tenantId },
    credential: "ichor_sk_new",
    revision: 7n,
  }),
  verifyCredential: async () => ({ valid: true, revision: 7n }),
  batchVerifyCredentials: async ({ requests }) => ({ responses: requests.map(() => ({ valid: true })) }),
};
