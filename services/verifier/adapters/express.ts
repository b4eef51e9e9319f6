import type { IncomingMessage, ServerResponse } from "node:http";
import type { Verifier } from "../verifier.ts";
import type { VerifyDemand, VerifyResult } from "../verify-result.ts";
import { challengeOf, verifyBearer } from "./bearer.ts";

/** A request that passed: who called. */
export interface VerifiedRequest extends IncomingMessage {
  ichor?: VerifyResult;
}

/** Middleware as Express, Connect, Polka and others take it. */
export type Middleware = (request: VerifiedRequest, response: ServerResponse, next: (error?: unknown) => void) => void;

/**
 * Lets a request pass whose bearer token allows it, and notes who called as `request.ichor`; others get 401, 403 or, if it
 * can't be told, 503, each with a short JSON body.
 *
 * @param demandOf what a request needs; of a request behind proxies, tell its `clientIp` only if these are trusted
 */
export function requireToken(
  verifier: Pick<Verifier, "verify">,
  demandOf: VerifyDemand | ((request: VerifiedRequest) => VerifyDemand) = {},
): Middleware {
  return (request, response, next) => {
    const demand = typeof demandOf === "function" ? demandOf(request) : demandOf;
    verifyBearer(verifier, request.headers.authorization, demand).then((outcome) => {
      if (outcome.allowed) {
        request.ichor = outcome.result;
        next();
        return;
      }
      response.statusCode = outcome.status;
      response.setHeader("content-type", "application/json");
      if (outcome.status !== 503) response.setHeader("www-authenticate", challengeOf(outcome));
      response.end(JSON.stringify({ code: outcome.code }));
    }, next);
  };
}
