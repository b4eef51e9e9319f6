import { mkdirSync, statSync } from "node:fs";
import type { MeterProvider, TracerProvider } from "@opentelemetry/api";
import { adminService } from "./admin/service.ts";
import { bootstrap } from "./bootstrap.ts";
import { leaveToOthers, startPeriodic } from "./changes/periodic.ts";
import { jitteredDelayMs } from "./changes/reconnect-delay.ts";
import { renewStoreEpoch } from "./changes/renew-store-epoch.ts";
import { schedule } from "./changes/schedule.ts";
import { Tail } from "./changes/tail.ts";
import type { OpenWakeChannel } from "./changes/wake-channel.ts";
import { openWakeUps, type WakeWays } from "./changes/wake-ups.ts";
import type { ServerConfig } from "./config/server-config.ts";
import { clientAddress, type TrustedProxies } from "./core/client-address.ts";
import { parseDatabaseUrl } from "./core/database-url.ts";
import { exposedRights } from "./core/file-rights.ts";
import type { TenantId } from "./core/ids.ts";
import { defaultTenantSlug } from "./core/tenant.ts";
import { derivationService } from "./derivation/service.ts";
import { withCors } from "./http/cors.ts";
import { createFastUnary, type FastUnary } from "./http/fast-unary.ts";
import { issuerEndpoints } from "./http/issuer-endpoints.ts";
import { keySetEndpoints } from "./http/key-set-endpoints.ts";
import { createRequestHandler, probeEndpoints } from "./http/plain-endpoints.ts";
import { keySetStream } from "./key-set-stream.ts";
import { AnswerSealer } from "./keyring/answer-sealer.ts";
import { loadCheckpointKeys } from "./keyring/checkpoint-keys.ts";
import { FeedKeyRing } from "./keyring/feed-keys.ts";
import { Keyring } from "./keyring/keyring.ts";
import { createMasterKeyFile, loadMasterKeys } from "./keyring/master-key.ts";
import { PepperRing } from "./keyring/pepper-ring.ts";
import { openLimits } from "./limits/open-limits.ts";
import { findTenant } from "./mutation/find-tenant.ts";
import { countDerived, countVerifications, observeApp } from "./observe-app.ts";
import { startPeriodicWork } from "./periodic-work.ts";
import type { Carrier } from "./rpc/call.ts";
import { logCalls } from "./rpc/call-record.ts";
import { CallSlots } from "./rpc/call-slots.ts";
import { connectRoutes } from "./rpc/connect-routes.ts";
import { healthService } from "./rpc/health.ts";
import type { Log, ParentLog } from "./rpc/log.ts";
import { createMethodRegistry, type MethodRegistry } from "./rpc/method-registry.ts";
import { createRpcHandler, type NodeRequest, type NodeResponse } from "./rpc/node-handler.ts";
import { createPipeline, type Pipeline } from "./rpc/pipeline.ts";
import { createReadiness, type Readiness } from "./rpc/readiness.ts";
import { reflectionServices } from "./rpc/reflection.ts";
import { selfService } from "./self/service.ts";
import { openStore } from "./store/open-store.ts";
import type { Store } from "./store/port.ts";
import { StoreStartError } from "./store/start-error.ts";
import { withStore } from "./store/with-store.ts";
import { measureCalls } from "./telemetry/measure-calls.ts";
import { Metrics } from "./telemetry/metrics.ts";
import { tracingBy } from "./telemetry/tracing.ts";
import { authenticateCaller } from "./verification/authenticate-caller.ts";
import { authenticateCertified } from "./verification/authenticate-certified.ts";
import { FailedVerifications } from "./verification/failed-verifications.ts";
import { limitCaller } from "./verification/limit-caller.ts";
import { NoticeRecorder } from "./verification/notice-recorder.ts";
import { rebindSecret } from "./verification/rebind-secret.ts";
import { RecordCache } from "./verification/record-cache.ts";
import { UseRecorder } from "./verification/use-recorder.ts";
import { verifyPresented } from "./verification/verify-presented.ts";
import type { Family } from "./workers/family-port.ts";

export interface AppDeps {
  /** Ms since the epoch. */
  readonly now: () => number;
  /** Random bytes of a cryptographic source. */
  readonly random: (size: number) => Uint8Array;
  readonly log: ParentLog;
  /** Where metrics go, by OpenTelemetry's API; absent: nowhere. */
  readonly meterProvider?: MeterProvider | undefined;
  /** Where calls are traced, likewise. */
  readonly tracerProvider?: TracerProvider | undefined;
  /** Base URL of the issuer; asked when it is first needed, since a listener may choose its port. */
  readonly issuer: () => string;
  /** The other processes of this server; absent: it is one process. */
  readonly family?: Family | undefined;
}

/** A server without its listener. */
export interface App {
  readonly handler: (request: NodeRequest, response: NodeResponse) => void;
  /** Calls of hot methods, for a listener to ask before `handler`. */
  readonly fastUnary: FastUnary;
  /** What is served, and what surrounds each call: for a transport of the process's own. */
  readonly registry: MethodRegistry;
  readonly pipeline: Pipeline;
  /** The same methods on any connect router, as that of an in-memory transport. */
  readonly routes: ReturnType<typeof connectRoutes>;
  readonly readiness: Readiness;
  readonly store: Store;
  /** Writes what was counted of the use of keys; else that is done every few seconds. */
  readonly flushUse: () => Promise<void>;
  /** Does now what is due by the clock, and waits for it; else that is done every minute. */
  readonly tend: () => Promise<void>;
  /** Puts into effect what a reload may change. */
  reload(config: ServerConfig): void;
  /** Counts a reload of the process's configuration. */
  readonly countReload: (outcome: "ok" | "failed") => void;
  /** Ends what runs in the background and closes the store; calls must have ended. */
  close(): Promise<void>;
}

type OfflineDeps = Pick<AppDeps, "now" | "random">;

/** Brings the store's schema up to date and gives the names of the migrations that were applied. */
export async function migrateStore(config: ServerConfig, deps: OfflineDeps): Promise<readonly string[]> {
  makeDataDir(config.dataDir);
  const applied: string[] = [];
  const onMigrated = (names: readonly string[]) => void applied.push(...names);
  await withStore({ url: config.databaseUrl, migrate: true, onMigrated, ...deps }, async () => {});
  return applied;
}

/** Gives a store a new epoch, as after a restore; see changes/renew-store-epoch.ts. Servers may run meanwhile. */
export async function renewEpoch(
  config: ServerConfig,
  { now, random }: OfflineDeps,
): Promise<{ readonly storeEpoch: string; readonly revision: bigint }> {
  return withStore({ url: config.databaseUrl, migrate: false, now, random }, async (store) => {
    await renewStoreEpoch({ store, now, random }, (await store.head()).storeEpoch);
    const { storeEpoch, revision } = await store.head();
    return { storeEpoch, revision };
  });
}

/** Opens the store, makes what a first start makes, and puts every service on its ports. Rejects if the start is refused. */
export async function buildApp(config: ServerConfig, deps: AppDeps): Promise<App> {
  const { now, random, log, family } = deps;
  const monotonicMs = () => performance.now();
  const metrics = new Metrics(deps.meterProvider);
  /** What a reload may change is read from here, each time. */
  let live = config;
  makeDataDir(config.dataDir);
  warnIfOpenToAll(config.dataDir, log);
  const { traceCall, step } = await tracingBy(deps.tracerProvider);
  const { databaseUrl: url, migrate } = config;
  const store = await openStore({ url, migrate, clock: { now }, random, log, ...(step && { step }) });
  try {
    // Only for an empty store: a store that was sealed under a lost key must not look as if it could start again.
    const known = await store.getTenantBySlug(defaultTenantSlug);
    if (known === undefined && config.makeMasterKey) createMasterKeyFile(config.masterKeyFile, random);
    const masterKeys = loadMasterKeys(config.masterKeyFile);
    await bootstrap({ store, masterKeys, dataDir: config.dataDir, clock: { now }, random, log });
    const readiness = createReadiness();
    const onStale = (stale: boolean) => readiness.set("store", stale);
    const tail = new Tail({ store, clock: { now, monotonicMs }, schedule, log, onStale });
    const keyring = new Keyring({ store, masterKeys, random, now, followed: tail });
    tail.subscribe((event) => keyring.apply(event.kind === "reset" ? undefined : event.row.change));
    const records = new RecordCache({ store, tail, monotonicMs });
    const periodic = family?.tends === false ? leaveToOthers : startPeriodic;
    const runs = metrics.counts("ichor.periodic.runs");
    const reloads = metrics.counts("ichor.config.reloads");
    const onRun = (what: string, outcome: string) => void runs(what, outcome).value++;
    const drain = readiness.drainSignal;
    const secrets = { store, masterKeys, now, schedule, followed: tail, log };
    const feedKeys = new FeedKeyRing(secrets);
    const { issuer } = deps;
    const stream = keySetStream({ store, tail, keyring, feedKeys, issuer, now, random, drain, periodic, onRun, log });
    await tail.start();
    await feedKeys.load();
    const peppers = await PepperRing.load(secrets);
    const instanceId = Buffer.from(random(8)).toString("hex");
    const { ledger } = stream;
    const wakeUps = await openWakeUps(await wakeWaysOf(config, family), { store, tail, ledger, instanceId, log });

    const use = new UseRecorder({ store, now, schedule, log });
    const limits = await openLimits({
      ...{ redisUrl: config.redisUrl, now, reconnectDelayMs: jitteredDelayMs, family, log },
      onAlone: (alone) => readiness.degrade("shared_limits", alone),
    });
    const home = known ?? (await store.getTenantBySlug(defaultTenantSlug));
    if (home === undefined) throw new TypeError("bootstrap made no default tenant");
    const failures = new FailedVerifications({
      ...{ ...limits.addresses, processes: config.redisUrl === undefined ? config.workers : 1 },
      ...{ storeId: home.id, schedule },
    });
    const verification = {
      records,
      failures,
      limiter: limits.keys,
      freshness: tail,
      peppers,
      rebindSecret: rebindSecret({ store, peppers, forgetKey: (id) => records.forgetKey(id), log }),
      recordUse: use.record,
      keyring,
      issuer: deps.issuer,
      now,
    };
    const sealer = new AnswerSealer(masterKeys, peppers, random);
    const authenticate = authenticateCaller({ ...verification, defaultTenantId: home.id });
    const certified = authenticateCertified({ ...verification, certificateKeys: () => live.tlsClientKeys });
    const verify = verifyPresented(verification);
    const cachedTenants = {
      getTenant: async (id: TenantId) => (await records.tenant(id, false)).value,
      getTenantBySlug: (slug: string) => store.getTenantBySlug(slug),
    };
    const notices = new NoticeRecorder({ store, homeId: home.id, now, jitter: Math.random, schedule, log });
    const slots = new CallSlots(config.callsMax);
    observeApp(metrics, { store, wakeUps, tail, records, use, hub: stream.hub, limits, slots, failures });
    const logged = logCalls(log);
    const measured = measureCalls(metrics);
    const pipeline = createPipeline({
      authenticate,
      authenticateCertified: certified,
      slots,
      clientAddress: clientAddressOf(config.trustedProxies),
      resolveTenant: async (idOrSlug) => (await findTenant(cachedTenants, idOrSlug)).id,
      limitCaller: limitCaller(limits.keys, now),
      isDraining: () => readiness.draining,
      record: (call) => {
        logged(call);
        measured(call);
        // Each call once, whether it was authenticated more than once or not.
        const { caller, clientAddress, failure, method, tenantId = caller?.tenantId } = call;
        if (failure !== undefined)
          notices.refused({ method, reason: failure.reason, clientAddress, tenantId, keyId: caller?.keyId });
        if (caller?.secretVersion !== undefined) use.record(caller.keyId, caller.secretVersion, clientAddress);
      },
      ...(traceCall && { traceCall }),
      monotonicMs,
    });
    const countVerification = countVerifications(metrics);
    const shared = {
      ...{ store, sealer, peppers, keyring, verifyPresented: verify, countVerification },
      ...{ issuer: deps.issuer, random, now },
    };
    const events = { audit: store.audit, tail, schedule, drain: readiness.drainSignal, jitter: Math.random };
    const checkpointKeys = () => loadCheckpointKeys(store, masterKeys);
    const offered = [
      adminService({ ...shared, ...stream, events, checkpointKeys, freshness: tail }),
      selfService(shared),
      derivationService({
        ...{ ...shared, ...stream, records, freshness: tail, countDerived: countDerived(metrics) },
        noteDerived: (...token) => notices.derived(...token),
      }),
    ];
    const periodicWork = startPeriodicWork({
      ...{ store, keyring, masterKeys, expiryLeadsMs: config.expiryLeadsMs, random, now, monotonicMs },
      schedule,
      periodic,
      onRun,
      log,
    });
    const descriptors = offered.map(({ service }) => service);
    const health = healthService(
      descriptors.map(({ typeName }) => typeName),
      readiness,
    );
    const reflection = config.reflection ? reflectionServices(descriptors) : [];
    const registry = createMethodRegistry([...offered, health, ...reflection]);
    const issuers = issuerEndpoints({ tenants: cachedTenants, keyring, issuer: deps.issuer });
    const keySets = keySetEndpoints({ pipeline, registry, tenants: cachedTenants, keySets: stream.keySets });
    const routes = connectRoutes({ registry, pipeline, streamsEnd: readiness.drainSignal });
    return {
      handler: withCors(
        () => live.corsOrigins,
        createRequestHandler(
          createRpcHandler(routes, log),
          { ...probeEndpoints(readiness), ...issuers, ...keySets },
          log,
        ),
      ),
      fastUnary: createFastUnary({ registry, pipeline, log }),
      registry,
      pipeline,
      routes,
      readiness,
      store,
      flushUse: () => use.flush(),
      async tend() {
        await notices.flush();
        await periodicWork.run();
        await stream.tend();
      },
      reload: (changed) => {
        live = changed;
      },
      countReload: (outcome) => void reloads(outcome).value++,
      async close() {
        metrics.close();
        peppers.close();
        feedKeys.close();
        await periodicWork.stop();
        await stream.stop();
        await use.stop();
        await notices.stop();
        await wakeUps.close();
        limits.close();
        await tail.stop();
        await store.close();
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

async function wakeWaysOf(
  { wakeUps, redisUrl, databaseUrl }: ServerConfig,
  family: Family | undefined,
): Promise<WakeWays> {
  const database = parseDatabaseUrl(databaseUrl);
  const relay = family && ((outer: OpenWakeChannel | undefined) => family.relay(outer));
  if (!wakeUps || database.provider !== "postgresql") {
    return { redisUrl: wakeUps ? redisUrl : undefined, notify: undefined, relay };
  }
  const { postgresClientConfig } = await import("./store/postgres-pool.ts");
  return { redisUrl, notify: postgresClientConfig(database), relay };
}

/** Where the client of a call is; without trusted proxies its headers aren't looked at. */
function clientAddressOf(proxies: TrustedProxies): (carrier: Carrier) => string {
  if (proxies.networks.length === 0) return ({ peerAddress }) => peerAddress;
  return (carrier) => clientAddress(carrier.peerAddress, carrier.header(proxies.header), proxies);
}

/** Makes the data directory (mode 0700) if it isn't there. */
function makeDataDir(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new StoreStartError(`the data directory ${path} can't be made (ICHOR_DATA_DIR): ${message}`, { cause });
  }
}

/** A warning, no refusal: the volumes of some container platforms are so, and nobody else is in the container. */
function warnIfOpenToAll(path: string, log: Log): void {
  const rights = exposedRights(statSync(path).mode, 0o002);
  if (rights !== undefined)
    log.warn({ path, rights }, "others may put files of theirs into the data directory: chmod o-w");
}
