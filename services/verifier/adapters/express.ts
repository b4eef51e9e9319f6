import type { IncomingMessage, ServerResponse } from "node:http";
import type { CredentialVerifier } from "../remote-verifier.ts";
import type { VerifyDemand, VerifyResult } from "../verify-result.ts";
import { verifyPresented } from "./presented.ts";

/** A request that passed: who called. */
export interface VerifiedRequest extends IncomingMessage {
  ichor?: VerifyResult;
}

/** Middleware as Express, Connect, Polka and others take it. */
export type Middleware = (request: VerifiedRequest, response: ServerResponse, next: (error?: unknown) => void) => void;

/**
 * Lets a request pass whose credential, in `Authorization: Bearer` or `X-API-Key`, allows it, and notes who called as
 * `request.ichor`; others get 400, 401, 403, 429 or, if it can't be told, 503, each with a short JSON body.
 *
 * @param demandOf what a request needs; of a request behind proxies, tell its `clientIp` only if these are trusted
 */
export function requireCredential(
  verifier: CredentialVerifier,
  demandOf: VerifyDemand | ((request: VerifiedRequest) => VerifyDemand) = {},
): Middleware {
  return (request, response, next) => {
    const demand = typeof demandOf === "function" ? demandOf(request) : demandOf;
    verifyPresented(verifier, request.headers, demand).then((outcome) => {
      if (outcome.allowed) {
        request.ichor = outcome.result;
        next();
        return;
      }
      response.statusCode = outcome.status;
      response.setHeader("content-type", "application/json");
      for (const [name, value] of Object.entries(outcome.headers)) response.setHeader(name, value);
      response.end(JSON.stringify({ code: outcome.code }));
    }, next);
  };
}
