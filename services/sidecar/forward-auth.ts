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
import type { Log } from "../rpc/log.ts";
import type { NodeRequest, NodeResponse } from "../rpc/node-handler.ts";
import { nameOf } from "../wire/enums.ts";
import { fromTimestamp } from "../wire/time.ts";
import { checkVerification } from "../wire/verification.ts";
import type { Decide } from "./decide.ts";
import { headerOnce, presentedCredential } from "./presented-credential.ts";
import { principalHeaders } from "./principal-headers.ts";

/** Where gateways ask. */
export const forwardAuthPath = "/v1/forward-auth";

export interface ForwardAuthDeps {
  readonly decide: Decide;
  /** Asked for if the query names none; empty: none. */
  readonly audience: string;
  /** The one header, in lower case, that has the credential; absent: Authorization or X-API-Key. */
  readonly credentialHeader?: string;
  /** The header, in lower case, in which the gateway tells the client's address; absent: it isn't told. */
  readonly clientIpHeader?: string;
  /** Ms since the epoch. */
  readonly now: () => number;
  /** A clock that only goes forward, in ms. */
  readonly monotonicMs: () => number;
  readonly log: Log;
}

interface Answer {
  readonly status: number;
  /** A name of VerificationCode, or why there is none. */
  readonly code: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly keyId?: string | undefined;
}

/** Codes of good credentials that don't allow this request (RFC 6750 section 3.1: insufficient_scope). */
const forbidding: ReadonlySet<number> = new Set([
  Code.IP_NOT_ALLOWED,
  Code.CONSTRAINT_NOT_MET,
  Code.INSUFFICIENT_SCOPE,
]);

/**
 * Answers a gateway whether a request may pass (nginx `auth_request`, Caddy and Traefik `forward_auth`): 200 with headers
 * that say who called, 401, 403, 429, 503 if it can't be told; 400 for what no gateway should pass on. The request's
 * headers are the client's; the query, `scope` and `audience`, is the gateway's.
 */
export function forwardAuth(deps: ForwardAuthDeps): (request: NodeRequest, response: NodeResponse) => Promise<void> {
  const { decide, now, monotonicMs, log } = deps;

  async function answerOf(request: NodeRequest): Promise<Answer> {
    const credential = presentedCredential(request.rawHeaders, deps.credentialHeader);
    if (credential === undefined) return challenge(401, "MISSING", "Bearer");
    const asked = askedBy(request, credential, deps);
    return answerTo(create(VerifyCredentialResponseSchema, await decide(asked)), asked.requiredScopes, now());
  }

  return async (request, response) => {
    const begunMs = monotonicMs();
    const answer = await answerOf(request).catch((thrown: unknown) => answerForError(thrown, log));
    const { status, code, keyId } = answer;
    const durationMs = Math.round((monotonicMs() - begunMs) * 100) / 100;
    log[status === 503 || status === 500 ? "warn" : "info"]({ status, code, keyId, durationMs }, "forward-auth");
    send(response, answer);
  };
}

function askedBy(request: NodeRequest, credential: string, deps: ForwardAuthDeps): VerifyCredentialRequest {
  const query = new URLSearchParams((request.url ?? "").split("?")[1] ?? "");
  const stranger = [...query.keys()].find((name) => name !== "scope" && name !== "audience");
  if (stranger !== undefined) throw new IchorError("INVALID_FIELD", "the query has more than scope and audience");
  if (query.getAll("audience").length > 1) throw new IchorError("INVALID_FIELD", "the query has two audiences");
  const { clientIpHeader, audience } = deps;
  const asked = create(VerifyCredentialRequestSchema, {
    credential,
    requiredScopes: query.getAll("scope").flatMap((scopes) => scopes.split(" ").filter((scope) => scope !== "")),
    audience: query.get("audience") ?? audience,
    clientIp: (clientIpHeader && headerOnce(request.rawHeaders, clientIpHeader)) || "",
  });
  const violations = new FieldViolations();
  checkVerification(violations, asked, "");
  violations.throwIfAny();
  return asked;
}

function answerTo(said: VerifyCredentialResponse, requiredScopes: readonly string[], nowMs: number): Answer {
  const code = nameOf(Code, said.code);
  const keyId = said.key?.id;
  if (said.valid)
    return { status: 200, code, keyId, headers: { ...principalHeaders(said), ...limitHeaders(said, nowMs) } };
  if (said.code === Code.RATE_LIMITED) return { status: 429, code, keyId, headers: limitHeaders(said, nowMs) };
  if (!forbidding.has(said.code)) return { ...challenge(401, code, 'Bearer error="invalid_token"'), keyId };
  const scope = requiredScopes.length > 0 ? `, scope="${requiredScopes.join(" ")}"` : "";
  return { ...challenge(403, code, `Bearer error="insufficient_scope"${scope}`), keyId };
}

/**
 * `RateLimit` as the working group HTTPAPI drafts it (draft-ietf-httpapi-ratelimit-headers-10): what remains and in how
 * many seconds all is back; `Retry-After` (RFC 9110 section 10.2.3) of what refused.
 */
function limitHeaders({ rateLimits }: VerifyCredentialResponse, nowMs: number): Readonly<Record<string, string>> {
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

function answerForError(thrown: unknown, log: Log): Answer {
  if (!(thrown instanceof IchorError)) {
    log.error({ err: thrown }, "forward-auth failed");
    return { status: 500, code: "INTERNAL" };
  }
  const { reason, retryAfterMs } = thrown;
  if (reason === "INVALID_FIELD") return challenge(400, reason, 'Bearer error="invalid_request"');
  if (reason === "CREDENTIAL_REFUSED") return challenge(401, "MALFORMED", 'Bearer error="invalid_token"');
  const seconds = Math.max(1, Math.ceil((retryAfterMs ?? 0) / 1000));
  return { status: 503, code: reason, headers: { "retry-after": String(seconds) } };
}

function challenge(status: number, code: string, wwwAuthenticate: string): Answer {
  return { status, code, headers: { "www-authenticate": wwwAuthenticate } };
}

function send(response: NodeResponse, { status, code, headers = {} }: Answer): void {
  const body = JSON.stringify({ code });
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.setHeader("cache-control", "no-store");
  response.setHeader("content-type", "application/json");
  response.setHeader("content-length", Buffer.byteLength(body));
  response.end(body);
}
