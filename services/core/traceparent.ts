/** Where in which trace a request was made. */
export interface RemoteSpan {
  /** 32 hex digits, not all 0. */
  readonly traceId: string;
  /** 16 hex digits, not all 0. */
  readonly spanId: string;
  /** Whether the caller records it. */
  readonly sampled: boolean;
}

/**
 * What a `traceparent` header says (W3C Trace Context section 3.2); undefined if it says nothing that is well-formed. Of
 * later versions the part that this one knows is taken, as section 3.2.4 asks.
 */
export function parseTraceparent(traceparent: string | undefined): RemoteSpan | undefined {
  if (traceparent === undefined) return undefined;
  const match = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(traceparent);
  if (match === null) return undefined;
  const [, version, traceId = "", spanId = "", flags = "", rest] = match;
  if (version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
