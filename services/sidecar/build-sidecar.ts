import type { Transport } from "@connectrpc/connect";
import type { MeterProvider } from "@opentelemetry/api";
import { Authorization } from "../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import type { Caller } from "../core/caller.ts";
import type { GatewayRoutes } from "../core/gateway-route.ts";
import { createFastUnary, type FastUnary } from "../http/fast-unary.ts";
import { createRequestHandler, probeEndpoints } from "../http/plain-endpoints.ts";
import type { ClientTls } from "../http/tls-files.ts";
import { type CallRecord, logCalls } from "../rpc/call-record.ts";
import type { TraceCall } from "../rpc/call-trace.ts";
import { connectRoutes } from "../rpc/connect-routes.ts";
import { healthService } from "../rpc/health.ts";
import type { ParentLog } from "../rpc/log.ts";
import { createMethodRegistry } from "../rpc/method-registry.ts";
import { createRpcHandler, type NodeRequest, type NodeResponse, pathOf } from "../rpc/node-handler.ts";
import { createPipeline } from "../rpc/pipeline.ts";
import { createReadiness, type Readiness } from "../rpc/readiness.ts";
import { measureCalls } from "../telemetry/measure-calls.ts";
import { Metrics } from "../telemetry/metrics.ts";
import { systemClock, type VerifierClock } from "../verifier/clock.ts";
import { createVerifier } from "../verifier/create-verifier.ts";
import type { RecordChanges } from "../verifier/options.ts";
import { ServerTransport } from "../verifier/server-transport.ts";
import type { Verifier } from "../verifier/verifier.ts";
import { audienceFeed, publicFeed } from "../wire/key-set.ts";
import { buildRelay, type Relay } from "./build-relay.ts";
import { decideHere } from "./decide.ts";
import { extAuthz } from "./ext-authz.ts";
import { forwardAuth, forwardAuthPath } from "./forward-auth.ts";
import { answerGateway } from "./gateway.ts";
import { KeyAnswers } from "./key-answers.ts";
import { localCaller } from "./local-caller.ts";
import { sidecarMethods } from "./methods.ts";
import { countDecisions, countGatewayAnswers, observeSidecar } from "./observe-sidecar.ts";
import { OwnCredential } from "./own-credential.ts";
import { RelayHub } from "./relay-hub.ts";
import { demandByRoutes, demandBySettings } from "./route-demand.ts";
import { tellEvent } from "./tell-event.ts";
import { Upstream } from "./upstream.ts";
import { UpstreamJwts } from "./upstream-jwt.ts";

/** How often it is looked whether what is known is still fresh enough, in ms. */
const readinessMs = 500;

export interface SidecarOptions {
  /** Base URL of the server. */
  readonly upstream: string;
  /** How to reach it, if not by Connect over HTTP/2. */
  readonly transport?: Transport | undefined;
  /** Authorities that the server's certificate is checked by, and what is shown to it; absent: the system's, nothing. */
  readonly upstreamCertificates?: ClientTls | undefined;
  /** The side-car's own key; see docs/operate/sidecar.md for its scopes. */
  readonly credential: string;
  /** Whose tokens are verified here; absent: those for the server itself, and only JWTs. */
  readonly audience?: string | undefined;
  /** From which age on nothing is decided here, in seconds. */
  readonly maxStaleness: number;
  readonly snapshotFile?: string | undefined;
  /** Thumbprints of the feed keys that are believed, and the issuer that they sign for; absent: the server is. */
  readonly feedKeys?: readonly string[] | undefined;
  readonly issuer?: string | undefined;
  /** The one header, in lower case, in which gateways' requests have the credential; absent: Authorization or X-API-Key. */
  readonly credentialHeader?: string | undefined;
  /** The header, in lower case, in which gateways tell the client's address; absent: none is believed. */
  readonly clientIpHeader?: string | undefined;
  /** Whom the tokens are for that services behind gateways get; absent: they get none, unless a route says so. */
  readonly upstreamJwt?: string | undefined;
  /** The header, in lower case, in which they get them; absent: Authorization. */
  readonly upstreamJwtHeader?: string | undefined;
  /** What gateways' routes ask; absent: each question says it. */
  readonly routes?: GatewayRoutes | undefined;
  /** Whether others may follow this one. */
  readonly relay?: boolean | undefined;
  readonly clock?: VerifierClock;
  /** Where metrics go, by OpenTelemetry's API; absent: nowhere. */
  readonly meterProvider?: MeterProvider | undefined;
  /** Follows each call; absent: nobody does. */
  readonly traceCall?: TraceCall | undefined;
  readonly log: ParentLog;
}

/** A side-car without its listener. */
export interface Sidecar {
  readonly handler: (request: NodeRequest, response: NodeResponse) => void;
  readonly fastUnary: FastUnary;
  /** The same methods on any connect router. */
  readonly routes: ReturnType<typeof connectRoutes>;
  readonly readiness: Readiness;
  readonly verifier: Verifier;
  /** From now on calls the server with this key, and on another connection if there are certificates for it. */
  renewUpstream(credential: string, certificates: ClientTls | undefined): void;
  /** Counts a reload of the process's configuration. */
  readonly countReload: (outcome: "ok" | "failed") => void;
  /** What is served to those who follow it, and who they are; undefined: nobody may. */
  readonly relay: Relay | undefined;
  /** Ends what runs in the background; calls must have ended. */
  close(): Promise<void>;
}

/** Puts a side-car together and begins to follow the server. Throws TypeError for options that make no sense. */
export function buildSidecar(options: SidecarOptions): Sidecar {
  const { upstream: url, credential, maxStaleness, snapshotFile, clock = systemClock, log } = options;
  const { now, monotonicMs } = clock;
  const server = new ServerTransport({ url, tls: options.upstreamCertificates });
  const transport = new OwnCredential(options.transport ?? server, credential);
  const { feedKeys, issuer } = options;
  const audience = options.audience ?? issuer ?? url;
  const metrics = new Metrics(options.meterProvider);
  const readiness = createReadiness();
  const upstream = new Upstream({
    ...{ transport, credential, monotonicMs },
    onTurn(failure) {
      readiness.degrade("upstream", failure !== undefined);
      if (failure === undefined) log.info({}, "the server answers again");
      else log.warn({ failure }, "the server doesn't answer");
    },
  });
  const macaroons = options.audience !== undefined;
  const hub =
    options.relay === true
      ? new RelayHub({
          feeds: macaroons ? [publicFeed, audienceFeed(audience)] : [publicFeed],
          drain: readiness.drainSignal,
          ...{ monotonicMs, schedule: clock.schedule, jitter: Math.random },
        })
      : undefined;
  /** What changed, until the revision is known from which on the server is asked about it. */
  const changed: RecordChanges[] = [];
  const keys = new KeyAnswers({ ask: (request, keyId) => upstream.verify(request, keyId), now, monotonicMs });
  const jwts = new UpstreamJwts({
    derive: (request, keyId) => upstream.derive(request, keyId),
    verify: (token) => verifier.verify(token),
    now,
  });
  function forget(changes: RecordChanges): void {
    keys.changed(changes);
    jwts.changed(changes);
  }
  const verifier: Verifier = createVerifier({
    ...{ transport, credential, audience, maxStaleness, clock },
    macaroons,
    clientName: hub === undefined ? "ichor sidecar" : "ichor relay",
    ...(hub !== undefined && { onward: hub }),
    ...(snapshotFile !== undefined && { snapshotFile }),
    ...(feedKeys !== undefined && { feedKeys }),
    ...(issuer !== undefined && { issuer }),
    onRecordsChanged(changes) {
      forget(changes);
      changed.push(changes);
    },
    onEvent(event) {
      if (event.kind === "applied" && event.feed === publicFeed) {
        keys.revision = event.revision;
        for (const changes of changed.splice(0)) hub?.changed(changes);
      }
      // Something was missed, or may have been.
      if (event.kind === "resync") forget({ of: "all" });
      tellEvent(event, log);
    },
  });
  observeSidecar(metrics, { upstream, keys, verifier, hub });
  const reloads = metrics.counts("ichor.config.reloads");
  // Of the snapshot file: what the feed tells goes on from there.
  keys.revision = verifier.status().revision;
  const look = () => {
    const { ready, stale } = verifier.status();
    readiness.set("key_set", !ready || stale);
  };
  let cancelLook = () => {};
  const goOnLooking = () => {
    look();
    cancelLook = clock.schedule(goOnLooking, readinessMs);
  };
  goOnLooking();

  const logged = logCalls(log);
  const measured = measureCalls(metrics);
  const recording = {
    record(call: CallRecord) {
      logged(call);
      measured(call);
    },
    ...(options.traceCall && { traceCall: options.traceCall }),
  };
  const pipeline = createPipeline({
    credentialOf: () => "",
    authenticate: callerOf(verifier),
    clientAddress: ({ peerAddress }) => peerAddress,
    resolveTenant: () => Promise.reject(new TypeError("local callers stay in their tenant")),
    limitCaller: () => {},
    isDraining: () => readiness.draining,
    ...recording,
    monotonicMs,
  });
  const services = [AdminService.typeName, DerivationService.typeName, Authorization.typeName];
  const health = healthService(services, readiness);
  const decide = countDecisions(metrics, decideHere({ verifier, audience, keys }));
  const { credentialHeader, clientIpHeader, upstreamJwt, routes } = options;
  const defaults = { audience: options.audience ?? "", credentialHeader, upstreamJwt };
  const demandOf = routes ? demandByRoutes(routes, defaults) : demandBySettings(defaults);
  const withJwts = upstreamJwt !== undefined || routes?.routes.some((route) => route.upstreamJwt);
  const jwtHeader = withJwts ? (options.upstreamJwtHeader ?? "authorization") : undefined;
  const gateway = answerGateway({ decide, demandOf, jwts, jwtHeader, now, monotonicMs, log });
  const answer = countGatewayAnswers(metrics, gateway);
  const registry = createMethodRegistry([...sidecarMethods(decide, upstream), extAuthz(answer), health]);
  const router = connectRoutes({ registry, pipeline, streamsEnd: readiness.drainSignal });
  const others = createRequestHandler(createRpcHandler(router, log), probeEndpoints(readiness), log);
  const relay = hub && buildRelay({ hub, verifier, decide, upstream, maxStaleness, readiness, recording, clock, log });
  const answerForward = forwardAuth({ answer, clientIpHeader, requestFrom: routes?.requestFrom });
  return {
    handler(request, response) {
      if (pathOf(request) === forwardAuthPath) void answerForward(request, response);
      else others(request, response);
    },
    fastUnary: createFastUnary({ registry, pipeline, log }),
    routes: router,
    readiness,
    verifier,
    renewUpstream(renewed, certificates) {
      transport.renew(renewed);
      if (certificates) server.renew(certificates);
    },
    countReload: (outcome) => void reloads(outcome).value++,
    relay,
    async close() {
      metrics.close();
      cancelLook();
      relay?.stop();
      await verifier.close();
    },
  };
}

/** One caller as long as the tenant is the same, so that its log lines are made for less. */
function callerOf(verifier: Pick<Verifier, "status">): () => Caller {
  let caller = localCaller(undefined);
  return () => {
    const { tenantId } = verifier.status();
    if (tenantId !== undefined && tenantId !== caller.tenantId) caller = localCaller(tenantId);
    return caller;
  };
}
