import { type NodeResponse, sendError } from "../rpc/node-handler.ts";

/**
 * What a request says once, and Node takes the first of without a word: a gateway in front may have looked at the last.
 * RFC 9110 section 5.3 lets only lists be repeated.
 */
const saidOnce: ReadonlySet<string> = new Set(["authorization", "content-type", "host"]);
const lengths: ReadonlySet<number> = new Set([...saidOnce].map(({ length }) => length));

/** Whether a header that stands once is repeated. `rawHeaders` are names and values by turns, as they came. */
export function hasRepeatedHeader(rawHeaders: readonly string[]): boolean {
  let seen: string[] | undefined;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const rawName = rawHeaders[i] as string;
    if (!lengths.has(rawName.length)) continue;
    const name = rawName.toLowerCase();
    if (!saidOnce.has(name)) continue;
    if (seen?.includes(name)) return true;
    seen = seen ? [...seen, name] : [name];
  }
  return false;
}

/** Answers such a request. */
export function refuseRepeatedHeader(response: NodeResponse): void {
  sendError(response, 400, "invalid_argument", "a header that can be said once is repeated");
}
