import type { Log } from "../rpc/log.ts";
import { type NodeRequest, type NodeResponse, pathOf, type RpcHandler, sendError } from "../rpc/node-handler.ts";

/** What a plain endpoint answers. */
export interface PlainAnswer {
  readonly status: number;
  /** Lower-case names; the content type of JSON is added. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Bytes are sent as they are, what else there is becomes JSON; absent: the answer has no content. */
  readonly body?: unknown;
}

/**
 * Answers a GET; HEAD gets the same without body. `wildcard` is what stands for the `*` of its path; empty without one.
 * A throw is a bug: it is logged and answered with 500.
 */
export type PlainEndpoint = (request: NodeRequest, wildcard: string) => PlainAnswer | Promise<PlainAnswer>;

/** Endpoints that aren't RPCs, by path; in it a segment may be `*`, which stands for any one segment. */
export type PlainEndpoints = Readonly<Record<string, PlainEndpoint>>;

/** Gives the answer, which has an ETag, without content to who has this very one (RFC 9110 section 13.1.2). */
export function unlessKnown({ headers }: Pick<NodeRequest, "headers">, answer: PlainAnswer): PlainAnswer {
  const { etag = "", ...others } = answer.headers ?? {};
  const known = (headers["if-none-match"] ?? "").split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  if (!known.includes(etag) && !known.includes("*")) return answer;
  const { "content-type": _, ...kept } = others;
  return { status: 304, headers: { etag, ...kept } };
}

/** Tells what keeps the server from taking calls; see rpc/readiness.ts. */
export interface ReadinessReport {
  reasons(): readonly string[];
  degraded(): readonly string[];
}

/**
 * `/livez`: the process answers. `/readyz`: 200 if it takes calls, else 503 with the reasons, which tell no more than
 * that the server drains or lacks its store. `degraded` says what works less well, as limits that aren't shared.
 */
export function probeEndpoints(readiness: ReadinessReport): PlainEndpoints {
  return {
    "/livez": () => ({ status: 200, headers: noStore, body: { status: "alive" } }),
    "/readyz": () => {
      const reasons = readiness.reasons();
      const degraded = readiness.degraded();
      const detail = degraded.length > 0 && { degraded };
      if (reasons.length === 0) return { status: 200, headers: noStore, body: { status: "ready", ...detail } };
      return { status: 503, headers: noStore, body: { status: "not ready", reasons, ...detail } };
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
  const find = router(endpoints);
  return (request, response) => {
    if (rpc(request, response)) return;
    const found = find(pathOf(request));
    if (found === undefined) {
      const isCall = request.method === "POST";
      return sendError(response, 404, isCall ? "unimplemented" : "not_found", "nothing is served at this path");
    }
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.setHeader("allow", "GET, HEAD");
      return sendError(response, 405, "unimplemented", "this path is read with GET");
    }
    answerPlainly(found, request, response).catch((err: unknown) => {
      log?.error({ path: pathOf(request), err }, "endpoint failed");
      if (!response.headersSent) sendError(response, 500, "internal", "internal error");
    });
  };
}

/** An endpoint, and what stands for the `*` of its path. */
interface Found {
  readonly endpoint: PlainEndpoint;
  readonly wildcard: string;
}

/** Finds the endpoint of a path: exact ones by a look-up, the few with a wildcard one after the other. */
function router(endpoints: PlainEndpoints): (path: string) => Found | undefined {
  const entries = Object.entries(endpoints);
  const exact = new Map(entries.filter(([path]) => !path.includes("*")));
  const patterns = entries
    .filter(([path]) => path.includes("*"))
    .map(([path, endpoint]) => ({ parts: path.split("*") as [string, string], endpoint }));
  return (path) => {
    const endpoint = exact.get(path);
    if (endpoint !== undefined) return { endpoint, wildcard: "" };
    for (const { parts, endpoint } of patterns) {
      const [start, end] = parts;
      const wildcard = path.slice(start.length, path.length - end.length);
      if (path === `${start}${wildcard}${end}` && wildcard !== "" && !wildcard.includes("/"))
        return { endpoint, wildcard };
    }
    return undefined;
  };
}

async function answerPlainly(
  { endpoint, wildcard }: Found,
  request: NodeRequest,
  response: NodeResponse,
): Promise<void> {
  const { status, headers = {}, body } = await endpoint(request, wildcard);
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  if (body === undefined) return void response.end();
  const bytes = body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
  if (bytes !== body) response.setHeader("content-type", "application/json");
  response.setHeader("content-length", bytes.byteLength);
  response.end(request.method === "HEAD" ? "" : bytes);
}
