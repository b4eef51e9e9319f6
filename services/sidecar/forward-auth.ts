import { IchorError } from "../core/errors.ts";
import type { AskedFor, RequestSource } from "../core/gateway-route.ts";
import type { NodeRequest, NodeResponse } from "../rpc/node-handler.ts";
import type { AnswerGateway, GatewayAnswer, GatewayRequest } from "./gateway.ts";
import { headerOnce, headersNamed } from "./presented-credential.ts";

/** Where gateways ask. */
export const forwardAuthPath = "/v1/forward-auth";

export interface ForwardAuthDeps {
  readonly answer: AnswerGateway;
  /** The header, in lower case, in which the gateway tells the client's address; absent: it isn't told. */
  readonly clientIpHeader?: string | undefined;
  /** By which headers the gateway tells what the client asks for; absent: by none. */
  readonly requestFrom?: RequestSource | undefined;
}

/**
 * Answers gateways that ask by HTTP, with the client's headers (nginx `auth_request`, Caddy and Traefik `forward_auth`).
 * The request's headers are the client's; the query, `scope` and `audience`, is the gateway's.
 */
export function forwardAuth({
  answer,
  clientIpHeader,
  requestFrom,
}: ForwardAuthDeps): (request: NodeRequest, response: NodeResponse) => Promise<void> {
  return async ({ url = "", rawHeaders }, response) => {
    // Two of them are no address.
    const addresses = clientIpHeader === undefined ? [] : headersNamed(rawHeaders, clientIpHeader);
    const request: GatewayRequest = {
      door: "forward-auth",
      rawHeaders,
      clientIp: addresses.join(", "),
      askedFor: () => askedForBy(rawHeaders, requestFrom),
      settings: [...new URLSearchParams(url.split("?")[1] ?? "")],
    };
    send(response, await answer(request));
  };
}

/** A gateway that sets these headers overwrites a client's; others are a client's word. */
function askedForBy(rawHeaders: readonly string[], source: RequestSource | undefined): AskedFor {
  const told = (name: string) => (source === undefined ? undefined : headerOnce(rawHeaders, `${source}-${name}`));
  const [method, target] = [told("method"), told("uri")];
  if (method === undefined || target === undefined) {
    throw new IchorError("INVALID_FIELD", "the gateway doesn't tell what the client asks for, as requestFrom says");
  }
  return { method, target, host: told("host") ?? "" };
}

function send(response: NodeResponse, { status, code, toService, toClient }: GatewayAnswer): void {
  const body = JSON.stringify({ code });
  response.statusCode = status;
  for (const [name, value] of Object.entries({ ...toService, ...toClient })) response.setHeader(name, value);
  response.setHeader("cache-control", "no-store");
  response.setHeader("content-type", "application/json");
  response.setHeader("content-length", Buffer.byteLength(body));
  response.end(body);
}
