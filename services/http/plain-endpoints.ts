import type { Log } from "../rpc/log.ts";
import { type NodeRequest, type NodeResponse, pathOf, type RpcHandler, sendError } from "../rpc/node-handler.ts";

/** What a plain endpoint answers. */
export interface PlainAnswer {
  readonly status: number;
  /** Lower-case names; the content type of JSON is added. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Becomes JSON. */
  readonly body: unknown;
}

/** Answers a GET; HEAD gets the same without body. A throw is a bug: it is logged and answered with 500. */
export type PlainEndpoint = (request: NodeRequest) => PlainAnswer | Promise<PlainAnswer>;

/** Endpoints that aren't RPCs, by exact path. */
export type PlainEndpoints = Readonly<Record<string, PlainEndpoint>>;

/** Tells what keeps the server from taking calls; see rpc/readiness.ts. */
export interface ReadinessReport {
  reasons(): readonly string[];
}

/**
 * `/livez`: the process answers. `/readyz`: 200 if it takes calls, else 503 with the reasons, which tell no more than
 * that the server drains or lacks its store.
 */
export function probeEndpoints(readiness: ReadinessReport): PlainEndpoints {
  return {
    "/livez": () => ({ status: 200, headers: noStore, body: { status: "alive" } }),
    "/readyz": () => {
      const reasons = readiness.reasons();
      if (reasons.length === 0) return { status: 200, headers: noStore, body: { status: "ready" } };
      return { status: 503, headers: noStore, body: { status: "not ready", reasons } };
    },
  };
}

const noStore = { "cache-control": "no-store" };

/** The whole of a port: RPCs by their paths, plain endpoints by theirs, and a clear 404 for the rest. `log` gets bugs. */
export function createRequestHandler(
  rpc: RpcHandler,
  endpoints: PlainEndpoints,
  log?: Pick<Log, "error">,
): (request: NodeRequest, response: NodeResponse) => void {
  const byPath = new Map(Object.entries(endpoints));
  return (request, response) => {
    if (rpc(request, response)) return;
    const endpoint = byPath.get(pathOf(request));
    if (endpoint === undefined) {
      const isCall = request.method === "POST";
      return sendError(response, 404, isCall ? "unimplemented" : "not_found", "nothing is served at this path");
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      return sendError(response, 405, "unimplemented", "this path is read with GET");
    }
    answerPlainly(endpoint, request, response).catch((err: unknown) => {
      log?.error({ path: pathOf(request), err }, "endpoint failed");
      if (!response.headersSent) sendError(response, 500, "internal", "internal error");
    });
  };
}

async function answerPlainly(endpoint: PlainEndpoint, request: NodeRequest, response: NodeResponse): Promise<void> {
  const { status, headers = {}, body } = await endpoint(request);
  const text = Buffer.from(JSON.stringify(body));
  response.statusCode = status;
  response.setHeader("content-type", "application/json");
  response.setHeader("content-length", text.byteLength);
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  response.end(request.method === "HEAD" ? "" : text);
}
