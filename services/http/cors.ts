import { cors } from "@connectrpc/connect";
import type { NodeRequest, NodeResponse } from "../rpc/node-handler.ts";

type Handler = (request: NodeRequest, response: NodeResponse) => void;

/** How long a browser may remember the answer to a preflight, in s; some take less. */
const preflightSecondsMax = 7_200;
/** What Connect's clients send, and what names the caller and its tenant. */
const allowedHeaders = [...cors.allowedHeaders, "Authorization", "Ichor-Tenant"].join(", ");
const allowedMethods = cors.allowedMethods.join(", ");
const exposedHeaders = [...cors.exposedHeaders, "ETag"].join(", ");

/**
 * Lets pages of the allowed origins call, as the Fetch standard's CORS has it. Without cookies: a page sends a credential
 * that it was given. What comes from another origin is answered as ever, and the browser keeps the answer from the page.
 */
export function withCors(allowedOrigins: () => readonly string[], handler: Handler): Handler {
  return (request, response) => {
    const { origin } = request.headers;
    // Also without an origin, once pages may call: a cache must not give them what it keeps of such an answer.
    if (origin !== undefined || allowedOrigins().length > 0) response.setHeader("vary", "Origin");
    if (origin === undefined) return handler(request, response);
    const isPreflight = request.method === "OPTIONS" && "access-control-request-method" in request.headers;
    if (!allowedOrigins().includes(origin)) {
      if (!isPreflight) return handler(request, response);
      response.statusCode = 403;
      return void response.end();
    }
    response.setHeader("access-control-allow-origin", origin);
    if (!isPreflight) {
      response.setHeader("access-control-expose-headers", exposedHeaders);
      return handler(request, response);
    }
    response.setHeader("access-control-allow-methods", allowedMethods);
    response.setHeader("access-control-allow-headers", allowedHeaders);
    response.setHeader("access-control-max-age", preflightSecondsMax);
    response.statusCode = 204;
    response.end();
  };
}
