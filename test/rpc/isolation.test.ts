import { type DescMethod, type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { TokenFormat } from "../../gen/ichor/v1/api_key_pb.ts";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { SelfService } from "../../gen/ichor/v1/self_service_pb.ts";
import type { KeyId, TenantId } from "../../services/core/ids.ts";
import { accessTable } from "../../services/rpc/access.ts";
import { fullMethodName } from "../../services/rpc/method-registry.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";
import { derive, issueKey, testAudience } from "../support/tokens.ts";
import { watch } from "../support/watch.ts";

// What nobody may do: to call without a credential, without the scope, or on another tenant. Generated from the services
// as they are registered: a method without a row in `attacks` fails this test.

/** What a tenant has that others must not reach. */
interface Victim {
  readonly tenantId: TenantId;
  readonly keyId: KeyId;
  readonly credential: string;
  readonly token: string;
  readonly tokenId: string;
  readonly signingKeyId: string;
  readonly kid: string;
  readonly subscriptionId: string;
}

/** A request of a method, as told: about what the victim has. */
type Attack<M extends DescMethod> = (victim: Victim) => Omit<MessageInitShape<M["input"]>, "$typeName">;
type Attacks<S extends { readonly method: Record<string, DescMethod> }> = {
  // The outcome with a credential of another tenant that holds every scope: a reason, or OK in its own tenant.
  readonly [N in keyof S["method"]]: readonly [request: Attack<S["method"][N]>, outcome: string];
};

const ofKey = ({ keyId }: Victim) => ({ keyId });
const never = () => ({});
const admin: Attacks<typeof AdminService> = {
  issueApiKey: [() => ({ name: "k" }), "OK"],
  importApiKey: [({ credential }) => ({ name: "k", secret: { case: "raw", value: `copy of ${credential}` } }), "OK"],
  batchImportApiKeys: [
    ({ tokenId }) => ({ items: [{ name: "k", secret: { case: "raw", value: `x ${tokenId}` } }] }),
    "OK",
  ],
  getApiKey: [ofKey, "KEY_NOT_FOUND"],
  listApiKeys: [never, "OK"],
  lookupCredentials: [({ credential }) => ({ texts: [credential], revoke: true }), "OK"],
  updateApiKey: [
    ({ keyId }) => ({ keyId, apiKey: { name: "mine" }, updateMask: { paths: ["name"] } }),
    "KEY_NOT_FOUND",
  ],
  bulkRevokeApiKeys: [() => ({ filter: 'name = "victim*"' }), "OK"],
  verifyCredential: [({ credential }) => ({ credential }), "OK"],
  batchVerifyCredentials: [({ credential, token }) => ({ requests: [{ credential }, { credential: token }] }), "OK"],
  rotateApiKey: [ofKey, "KEY_NOT_FOUND"],
  endGracePeriod: [ofKey, "KEY_NOT_FOUND"],
  disableApiKey: [ofKey, "KEY_NOT_FOUND"],
  enableApiKey: [ofKey, "KEY_NOT_FOUND"],
  revokeApiKey: [ofKey, "KEY_NOT_FOUND"],
  deleteApiKey: [ofKey, "KEY_NOT_FOUND"],
  revokeToken: [({ keyId, tokenId }) => ({ target: { case: "tokenRef", value: { keyId, tokenId } } }), "KEY_NOT_FOUND"],
  listSigningKeys: [never, "OK"],
  listSubscribers: [never, "OK"],
  rotateSigningKey: [() => ({ force: true }), "OK"],
  revokeSigningKey: [({ signingKeyId }) => ({ signingKeyId }), "SIGNING_KEY_NOT_FOUND"],
  rotateAudienceKey: [() => ({ audience: testAudience }), "OK"],
  createTenant: [() => ({ slug: "mine", name: "Mine" }), "SCOPE_MISSING"],
  getTenant: [({ tenantId }) => ({ tenant: tenantId }), "SCOPE_MISSING"],
  listTenants: [never, "SCOPE_MISSING"],
  updateTenant: [({ tenantId }) => ({ tenant: { id: tenantId, name: "Mine" } }), "SCOPE_MISSING"],
  disableTenant: [({ tenantId }) => ({ tenant: tenantId }), "SCOPE_MISSING"],
  enableTenant: [({ tenantId }) => ({ tenant: tenantId }), "SCOPE_MISSING"],
  listAuditEvents: [() => ({ pageSize: 1000, withLinks: true, orderBy: "revision" }), "OK"],
  verifyAuditChain: [never, "OK"],
  listAuditCheckpoints: [never, "OK"],
  watchEvents: [() => ({ afterRevision: 0n }), "OK"],
};
const derivation: Attacks<typeof DerivationService> = {
  deriveToken: [
    ({ credential }) => ({ credential, format: TokenFormat.JWT, audiences: [testAudience] }),
    "PARENT_REFUSED",
  ],
  verifyToken: [({ token }) => ({ credential: token, audience: testAudience }), "OK"],
  getKeySet: [() => ({ audiences: [testAudience] }), "OK"],
  watchKeySet: [never, "OK"],
  ackKeySet: [({ subscriptionId }) => ({ subscriptionId, feed: "public", revision: 1n }), "SUBSCRIPTION_NOT_FOUND"],
};
const self: Attacks<typeof SelfService> = {
  getSelf: [never, "OK"],
  rotateSelf: [never, "OK"],
  revokeSelf: [never, "OK"],
  revokeToken: [({ token }) => ({ target: { case: "token", value: token } }), "INVALID_FIELD"],
};
const attacks: Readonly<Record<string, readonly [request: (victim: Victim) => object, outcome: string]>> = {
  ...named(AdminService, admin),
  ...named(DerivationService, derivation),
  ...named(SelfService, self),
};

function named(service: { readonly method: Record<string, DescMethod> }, rows: object): Record<string, never> {
  return Object.fromEntries(
    Object.entries(rows).map(([name, row]) => [fullMethodName(service.method[name] as DescMethod), row as never]),
  );
}

const methods = [AdminService, DerivationService, SelfService].flatMap((service) => service.methods);
const needScope = methods.flatMap((method) => {
  const access = accessTable[fullMethodName(method)];
  return access && "scope" in access ? [[method.name, method, access.scope] as const] : [];
});
/** Every reserved scope that there is. */
const allScopes = [
  ...new Set(needScope.map(([, , scope]) => scope)),
  ...["ichor:tokens:derive", "ichor:verify:aud:*", "ichor:system"],
];

let t: TestApp;
let victim: Victim;
beforeAll(async () => {
  t = await startTestApp();
  for (const slug of ["victim", "evil"]) await t.admin().createTenant({ slug, name: slug });
  const { keyId, credential } = await issueKey(t, { name: "victim's", ownerId: "the victim" }, "victim");
  const { token, tokenId } = await derive(t, credential);
  const { signingKeys } = await t.admin(undefined, { "ichor-tenant": "victim" }).listSigningKeys({});
  const [key] = signingKeys;
  const watcher = await issueKey(t, { scopes: ["ichor:keyset:watch"] }, "victim");
  const stream = watch(t, {}, watcher.credential);
  const { subscriptionId, tenantId } = await stream.until("subscribed");
  stream.close();
  // Writes the use of the key and the row of the subscription, which else come some time later.
  await t.app.flushUse();
  const { subscribers } = await t.admin(undefined, { "ichor-tenant": "victim" }).listSubscribers({});
  expect(subscribers.map(({ id }) => id)).toEqual([subscriptionId]);
  victim = {
    ...{ tenantId: tenantId as TenantId, keyId: keyId as KeyId, credential, token, tokenId, subscriptionId },
    ...{ signingKeyId: key?.id ?? "", kid: key?.kid ?? "" },
  };
});
afterAll(() => t.close());

const issue = async (scopes: readonly string[], tenant?: string) =>
  (await issueKey(t, { name: "caller", scopes: [...scopes] }, tenant)).credential;
const revision = async () => (await t.app.store.head()).revision;

/** Calls a method, of a stream until nothing comes that it hasn't told; gives the outcome and all that was answered. */
async function call(method: DescMethod, request: object, headers: Record<string, string>) {
  const client = t.client(method.parent) as unknown as Readonly<Record<string, (...args: object[]) => unknown>>;
  const abort = new AbortController();
  const told: unknown[] = [];
  try {
    const answer = client[method.localName]?.(request, { headers, signal: abort.signal });
    if (method.methodKind === "unary") told.push(toJson(method.output, (await answer) as never));
    else {
      for await (const message of answer as AsyncIterable<{ readonly event: { readonly case: string } }>) {
        told.push(toJson(method.output, message as never));
        if (["progress", "heartbeat"].includes(message.event.case)) break;
      }
    }
    return { outcome: "OK", told: JSON.stringify(told), metadata: {} };
  } catch (error) {
    const connectError = ConnectError.from(error);
    const [info] = connectError.findDetails(ErrorInfoSchema);
    return { outcome: info?.reason ?? connectError.message, told: connectError.rawMessage, metadata: info?.metadata };
  } finally {
    abort.abort(new Error("the test is done"));
  }
}

/** All of the victim that a call could have changed. */
async function stateOfVictim() {
  const { store } = t.app;
  const { head: _, ...keySet } = (await store.loadKeySet(victim.tenantId)) ?? { head: undefined };
  const query = { tenantId: victim.tenantId, filter: { eventTime: {} }, descending: false };
  const { hits: events } = await store.audit.scanEvents(query, undefined, 1000);
  const rows = await store.subscriptions.listSubscriptions(victim.tenantId, "", 10);
  // When it was seen last is its own stream's to say, which ends in its own time.
  const subscriptions = rows.map(({ seenTimeMs: ___, ...row }) => row);
  const { use: __, ...key } = (await store.getKey(victim.keyId)) ?? { use: undefined };
  return {
    key,
    keySet,
    events,
    generations: await store.tokens.listAudienceGenerations(victim.tenantId),
    subscriptions,
  };
}

describe("isolation", () => {
  it("is tested for every method that is registered, and only health and reflection are open", () => {
    const { unary, streams, open } = t.app.registry;
    const closed = [...unary.keys(), ...streams.map(({ name }) => name)];
    expect(closed.sort()).toEqual(Object.keys(attacks).sort());
    expect(open.map(({ name }) => name.replace(/\/.*/, ""))).toEqual(
      expect.arrayContaining(["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"]),
    );
    for (const { name } of open)
      expect(name).toMatch(/^grpc\.(health\.v1\.Health|reflection\.v1(alpha)?\.ServerReflection)\//);
    expect(allScopes.length).toBeGreaterThanOrEqual(10);
  });

  it.each(methods.map((method) => [method.name, method] as const))("%s needs a credential", async (_name, method) => {
    const before = await revision();
    const [request] = attacks[fullMethodName(method)] ?? [];
    const none = await call(method, request?.(victim) ?? {}, { "x-nothing": "" });
    expect(none.outcome).toBe("CREDENTIAL_MISSING");
    const wrong = await call(method, request?.(victim) ?? {}, {
      authorization: `Bearer ${victim.credential.slice(0, -1)}_`,
    });
    expect(wrong.outcome).toBe("CREDENTIAL_REFUSED");
    expect(await revision()).toBe(before);
  });

  it.each(needScope)("%s needs its scope, whatever others the caller has", async (_name, method, scope) => {
    const credential = await issue(allScopes.filter((other) => other !== scope));
    const before = await revision();
    const [request] = attacks[fullMethodName(method)] ?? [];
    const { outcome, metadata } = await call(method, request?.(victim) ?? {}, {
      authorization: `Bearer ${credential}`,
    });
    expect([outcome, metadata?.scope]).toEqual(["SCOPE_MISSING", scope]);
    expect(await revision()).toBe(before);
  });

  it("lets nobody act on another tenant but callers of tenant default with ichor:system, whatever the method", async () => {
    const insider = await issue(allScopes.filter((scope) => scope !== "ichor:system"));
    const outsider = await issue(["ichor:*"], "evil");
    const before = await revision();
    const outcomes: string[] = [];
    for (const method of methods) {
      const [request] = attacks[fullMethodName(method)] ?? [];
      for (const credential of [insider, outsider])
        for (const tenant of ["victim", victim.tenantId, "default", "nobody"]) {
          const headers = { authorization: `Bearer ${credential}`, "ichor-tenant": tenant };
          const { outcome } = await call(method, request?.(victim) ?? {}, headers);
          if (outcome !== "TENANT_NOT_ALLOWED") outcomes.push(`${method.name} as ${tenant}: ${outcome}`);
        }
    }
    expect(outcomes).toEqual([]);
    expect(await revision()).toBe(before);
  });

  it.each(methods.map((method) => [method.name, method] as const))(
    "%s with a foreign tenant's credential reaches nothing of a tenant",
    async (_name, method) => {
      const credential = await issue(["ichor:*"], "evil");
      const [request = never, expected] = attacks[fullMethodName(method)] ?? [];
      const [before, head] = [await stateOfVictim(), await revision()];
      const { outcome, told } = await call(method, request(victim), { authorization: `Bearer ${credential}` });
      expect(outcome).toBe(expected);
      const { tenantId, keyId, tokenId, signingKeyId, kid, subscriptionId } = victim;
      const leaked = [tenantId, keyId, tokenId, signingKeyId, kid, subscriptionId, "victim"].filter((id) =>
        told.includes(id),
      );
      expect(leaked).toEqual([]);
      expect(await stateOfVictim()).toEqual(before);
      if (expected !== "OK") expect(await revision()).toBe(head);
    },
  );

  it("is not what keeps a tenant's own caller from the same requests", async () => {
    const credential = await issue(["ichor:*"], "victim");
    const reached = async (method: DescMethod, request: object) =>
      call(method, request, { authorization: `Bearer ${credential}` });
    expect(await reached(AdminService.method.getApiKey, ofKey(victim))).toMatchObject({
      outcome: "OK",
      told: expect.stringContaining(victim.keyId),
    });
    expect(await reached(AdminService.method.watchEvents, { afterRevision: 0n })).toMatchObject({
      told: expect.stringContaining(victim.keyId),
    });
    const issuedBefore = { case: "issuedBefore", value: timestampFromDate(new Date(t.clock.now())) };
    expect(await reached(AdminService.method.revokeToken, { target: issuedBefore })).toMatchObject({ outcome: "OK" });
  });
});
