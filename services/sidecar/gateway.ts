import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import {
  VerificationCode as Code,
  type VerifyCredentialRequest,
  VerifyCredentialRequestSchema,
  type VerifyCredentialResponse,
  VerifyCredentialResponseSchema,
} from "../../gen/ichor/v1/verification_pb.ts";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import type { AskedFor, CredentialRule } from "../core/gateway-route.ts";
import type { Log } from "../rpc/log.ts";
import { nameOf } from "../wire/enums.ts";
import { fromTimestamp } from "../wire/time.ts";
import { checkVerification } from "../wire/verification.ts";
import type { Decide } from "./decide.ts";
import { credentialHeaders, presentedCredential } from "./presented-credential.ts";
import { principalHeaders, refuseLookAlikes } from "./principal-headers.ts";
import type { UpstreamJwts } from "./upstream-jwt.ts";

/** What a gateway asks: whether this request of a client may pass. */
export interface GatewayRequest {
  /** By which protocol it asks; for the log. */
  readonly door: "forward-auth" | "ext_authz";
  /** The client's headers: names and values by turns, as they came. */
  readonly rawHeaders: readonly string[];
  /** The client's address, as the gateway tells it; empty: it doesn't. */
  readonly clientIp: string;
  /** What the gateway's configuration says of the route: `scope` and `audience`. */
  readonly settings: readonly (readonly [name: string, value: string])[];
  /** Says what the client asks the service for. Throws INVALID_FIELD if the gateway doesn't tell. */
  readonly askedFor: () => AskedFor;
}

/** What a route asks of a request. */
export interface RouteDemand {
  readonly scopes: readonly string[];
  /** Empty: none. */
  readonly audience: string;
  readonly credential: CredentialRule;
  /** The one header, in lower case, that has the credential; absent: Authorization or X-API-Key. */
  readonly credentialHeader?: string | undefined;
  /** For whom the service gets a token in place of the credential; absent: for nobody. */
  readonly upstreamJwt?: string | undefined;
}

/** What a gateway does with a request, whatever protocol tells it. */
export interface GatewayAnswer {
  readonly status: 200 | 400 | 401 | 403 | 429 | 500 | 503;
  /** A name of VerificationCode, or why there is none. */
  readonly code: string;
  readonly keyId?: string | undefined;
  /** Headers that the service shall see so, in lower case, whatever the client sent; empty: that it must not see. */
  readonly toService?: Headers;
  /** Headers for the client. */
  readonly toClient?: Headers;
}

type Headers = Readonly<Record<string, string>>;

export interface GatewayDeps {
  readonly decide: Decide;
  /** Says what the route asks; undefined: there is no such route. Throws INVALID_FIELD. */
  readonly demandOf: DemandOf;
  /** Makes tokens for services. */
  readonly jwts: Pick<UpstreamJwts, "of">;
  /** The header, in lower case, in which services get tokens; absent: no route has one. */
  readonly jwtHeader?: string | undefined;
  /** Ms since the epoch. */
  readonly now: () => number;
  /** A clock that only goes forward, in ms. */
  readonly monotonicMs: () => number;
  readonly log: Log;
}

export type DemandOf = (request: GatewayRequest) => RouteDemand | undefined;
export type AnswerGateway = (request: GatewayRequest) => Promise<GatewayAnswer>;

/** Codes of good credentials that don't allow this request (RFC 6750 section 3.1: insufficient_scope). */
const forbidding: ReadonlySet<number> = new Set([
  Code.IP_NOT_ALLOWED,
  Code.CONSTRAINT_NOT_MET,
  Code.INSUFFICIENT_SCOPE,
]);

/**
 * Answers a gateway whether a request may pass: 200 with headers that say who called, 401, 403, 429, 503 if it can't be
 * told; 400 for what no gateway should pass on. Never rejects; one log line an answer.
 */
export function answerGateway(deps: GatewayDeps): AnswerGateway {
  const { decide, demandOf, jwts, jwtHeader, now, monotonicMs, log } = deps;

  async function answerOf(request: GatewayRequest): Promise<GatewayAnswer> {
    const demand = demandOf(request);
    if (demand === undefined) return { status: 403, code: "NO_ROUTE" };
    refuseLookAlikes(request.rawHeaders, jwtHeader);
    if (demand.credential === "none") return passed(nobody, demand);
    const credential = presentedCredential(request.rawHeaders, demand.credentialHeader);
    if (credential === undefined && demand.credential === "optional") return passed(nobody, demand);
    if (credential === undefined) return challenge(401, "MISSING", "Bearer");
    const said = create(VerifyCredentialResponseSchema, await decide(askedBy(request, demand, credential)));
    return said.valid ? passed(said, demand, credential) : refusalTo(said, demand, now());
  }

  async function passed(
    said: VerifyCredentialResponse,
    demand: RouteDemand,
    presentedCredential?: string,
  ): Promise<GatewayAnswer> {
    const { audience: verifiedAudience, upstreamJwt: audience, scopes } = demand;
    const jwt =
      presentedCredential === undefined || audience === undefined
        ? ""
        : await jwts.of({ presentedCredential, said, verifiedAudience, audience, scopes });
    const code = said.valid ? nameOf(Code, said.code) : "ANONYMOUS";
    const toService = { ...principalHeaders(said), ...withdrawn(demand), ...jwtHeaders(jwt, demand) };
    return { status: 200, code, keyId: said.key?.id, toClient: limitHeaders(said, now()), toService };
  }

  /** The token; without one, nothing that a client has put in its place. */
  function jwtHeaders(jwt: string, { credential }: RouteDemand): Headers {
    // Where no credential is looked for, Authorization may be the service's own.
    if (jwtHeader === undefined || (credential === "none" && jwtHeader === "authorization")) return {};
    return { [jwtHeader]: jwtHeader === "authorization" && jwt !== "" ? `Bearer ${jwt}` : jwt };
  }

  return async (request) => {
    const begunMs = monotonicMs();
    const answer = await answerOf(request).catch((thrown: unknown) => answerForError(thrown, log));
    const { status, code, keyId } = answer;
    const durationMs = Math.round((monotonicMs() - begunMs) * 100) / 100;
    log[status >= 500 ? "warn" : "info"]({ status, code, keyId, durationMs }, request.door);
    return answer;
  };
}

function askedBy(request: GatewayRequest, demand: RouteDemand, credential: string): VerifyCredentialRequest {
  const asked = create(VerifyCredentialRequestSchema, {
    credential,
    requiredScopes: [...demand.scopes],
    audience: demand.audience,
    clientIp: request.clientIp,
  });
  const violations = new FieldViolations();
  checkVerification(violations, asked, "");
  violations.throwIfAny();
  return asked;
}

/** Who called without a credential. */
const nobody = create(VerifyCredentialResponseSchema);

/** The service needs no credential any more. Where none is looked for, it may be the service's own. */
function withdrawn({ credential, credentialHeader }: RouteDemand): Headers {
  if (credential === "none") return {};
  return Object.fromEntries(credentialHeaders(credentialHeader).map((name) => [name, ""]));
}

function refusalTo(said: VerifyCredentialResponse, demand: RouteDemand, nowMs: number): GatewayAnswer {
  const keyId = said.key?.id;
  const code = nameOf(Code, said.code);
  if (said.code === Code.RATE_LIMITED) return { status: 429, code, keyId, toClient: limitHeaders(said, nowMs) };
  if (!forbidding.has(said.code)) return { ...challenge(401, code, 'Bearer error="invalid_token"'), keyId };
  const scope = demand.scopes.length > 0 ? `, scope="${demand.scopes.join(" ")}"` : "";
  return { ...challenge(403, code, `Bearer error="insufficient_scope"${scope}`), keyId };
}

/**
 * `RateLimit` as the working group HTTPAPI drafts it (draft-ietf-httpapi-ratelimit-headers-10): what remains and in how
 * many seconds all is back; `Retry-After` (RFC 9110 section 10.2.3) of what refused.
 */
function limitHeaders({ rateLimits }: VerifyCredentialResponse, nowMs: number): Headers {
  if (rateLimits.length === 0) return {};
  const secondsUntil = (time: Timestamp | undefined) => {
    const timeMs = time && fromTimestamp(time);
    return timeMs === undefined ? undefined : Math.max(0, Math.ceil((timeMs - nowMs) / 1000));
  };
  const states = rateLimits.map(({ name, remaining, resetTime }) => {
    return `"${name}";r=${remaining};t=${secondsUntil(resetTime) ?? 0}`;
  });
  const retries = rateLimits.flatMap(({ retryTime }) => secondsUntil(retryTime) ?? []);
  return {
    ratelimit: states.join(", "),
    ...(retries.length > 0 && { "retry-after": String(Math.max(1, ...retries)) }),
  };
}

function answerForError(thrown: unknown, log: Log): GatewayAnswer {
  if (!(thrown instanceof IchorError)) {
    log.error({ err: thrown }, "a gateway couldn't be answered");
    return { status: 500, code: "INTERNAL" };
  }
  const { reason, retryAfterMs, metadata } = thrown;
  if (reason === "INVALID_FIELD") return challenge(400, reason, 'Bearer error="invalid_request"');
  if (reason === "CREDENTIAL_REFUSED") return challenge(401, "MALFORMED", 'Bearer error="invalid_token"');
  // What the server said of the key when it was to make a token for the service.
  if (reason === "PARENT_REFUSED" && metadata.code !== "RATE_LIMITED")
    return challenge(401, metadata.code ?? reason, 'Bearer error="invalid_token"');
  if (reason === "DERIVATION_NOT_ALLOWED" || reason === "CREDENTIAL_KIND_NOT_ALLOWED")
    return { status: 403, code: reason };
  const seconds = Math.max(1, Math.ceil((retryAfterMs ?? 0) / 1000));
  const toClient = { "retry-after": String(seconds) };
  if (reason === "PARENT_REFUSED") return { status: 429, code: "RATE_LIMITED", toClient };
  return { status: 503, code: reason, toClient };
}

function challenge(status: 400 | 401 | 403, code: string, wwwAuthenticate: string): GatewayAnswer {
  return { status, code, toClient: { "www-authenticate": wwwAuthenticate } };
}
