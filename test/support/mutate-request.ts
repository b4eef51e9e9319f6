import type { WireRequest } from "./wire-requests.ts";

/** A source of numbers from 0 to below 1, the same for a seed. */
export function seeded(seed: number): () => number {
  let state = (seed * 2_654_435_761 + 1) | 0;
  return () => {
    state = (Math.imul(state ^ (state >>> 15), 0x2c1b3c6d) + 0x9e3779b9) | 0;
    return ((state ^ (state >>> 13)) >>> 0) / 2 ** 32;
  };
}

/** The request with one to three small faults: bytes of the body, header values and whole headers change, go or are doubled. */
export function mutateRequest(request: WireRequest, seed: number): WireRequest {
  const random = seeded(seed);
  let mutant = request;
  for (let faults = 1 + Math.floor(random() * 3); faults > 0; faults--) {
    mutant = random() < 0.7 && mutant.body.length > 0 ? mutateBody(mutant, random) : mutateHeaders(mutant, random);
  }
  return mutant;
}

function mutateBody(request: WireRequest, random: () => number): WireRequest {
  const { body } = request;
  // Most of the sense of a large body is at its beginning.
  const at = Math.floor(random() * Math.min(body.length, 200));
  const [before, after] = [body.subarray(0, at), body.subarray(at)];
  const kind = Math.floor(random() * 5);
  if (kind === 0)
    return { ...request, body: Buffer.concat([before, Buffer.from([Math.floor(random() * 256)]), after.subarray(1)]) };
  if (kind === 1) return { ...request, body: Buffer.concat([before, after.subarray(1)]) };
  if (kind === 2) return { ...request, body: Buffer.concat([before, after.subarray(0, 4), after]) };
  if (kind === 3) return { ...request, body: before };
  const token = tokens[Math.floor(random() * tokens.length)] ?? "";
  return { ...request, body: Buffer.concat([before, Buffer.from(token), after]) };
}

const tokens = ['"', ",", ":", "{", "}", "[]", "null", "\\", "\\u0000", "0", "-", "é", '"a":1,', "\n"];

function mutateHeaders(request: WireRequest, random: () => number): WireRequest {
  const headers = [...request.headers];
  const at = Math.floor(random() * headers.length);
  const header = headers[at];
  if (header === undefined) return request;
  const [name, value] = header;
  // A shorter deadline makes the answer a matter of the machine's load; another `te` isn't HTTP/2.
  if (name.endsWith("timeout") || name.endsWith("timeout-ms") || name === "te") return request;
  const kind = Math.floor(random() * 3);
  if (kind === 0) headers.splice(at, 1);
  else if (kind === 1) headers[at] = [name, value.slice(0, Math.floor(random() * value.length))];
  else headers[at] = [name, `${value}${["x", ";", " ", ",a", "0"][Math.floor(random() * 5)]}`];
  return { ...request, headers };
}
