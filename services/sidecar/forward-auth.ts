import type { NodeRequest, NodeResponse } from "../rpc/node-handler.ts";
import type { AnswerGateway, GatewayAnswer, GatewayRequest } from "./gateway.ts";
import { headersNamed } from "./presented-credential.ts";

/** Where gateways ask. */
export const forwardAuthPath = "/v1/forward-auth";

export interface ForwardAuthDeps {
  readonly answer: AnswerGateway;
  /** The header, in lower case, in which the gateway tells the client's address; absent: it isn't told. */
  readonly clientIpHeader?: string | undefined;
}

/**
 * Answers gateways that ask by HTTP, with the client's headers (nginx `auth_request`, Caddy and Traefik `forward_auth`).
 * The request's headers are the client's; the query, `scope` and `audience`, is the gateway's.
 */
export function forwardAuth({
  answer,
  clientIpHeader,
}: ForwardAuthDeps): (request: NodeRequest, response: NodeResponse) => Promise<void> {
  return async ({ url = "", rawHeaders }, response) => {
    // Two of them are no address.
    const addresses = clientIpHeader === undefined ? [] : headersNamed(rawHeaders, clientIpHeader);
    const request: GatewayRequest = {
      door: "forward-auth",
      rawHeaders,
      clientIp: addresses.join(", "),
      settings: [...new URLSearchParams(url.split("?")[1] ?? "")],
    };
    send(response, await answer(request));
  };
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
