import { fromJsonString, type JsonObject, toJson } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type AuditEvent, AuditEventSchema, type ChainLink, ChainLinkSchema } from "../../gen/ichor/v1/audit_pb.ts";

/** One revision of an exported trail: its link of the chain, its event, or both. */
export interface ExportedEntry {
  readonly link?: ChainLink | undefined;
  readonly event?: AuditEvent | undefined;
}

/** A format that a trail is exported in. */
export interface ExportFormat {
  /** The first line; none. */
  readonly header?: string;
  line(entry: ExportedEntry): string | undefined;
  /** The revision of a line that `line` made; undefined: it is none. */
  revisionOf(line: string): bigint | undefined;
}

/** The formats by name. JSON lines hold all that the chain is checked by; CSV holds events only. */
export const exportFormats: Readonly<Record<"jsonl" | "csv", ExportFormat>> = {
  jsonl: {
    line({ link, event }) {
      const line: JsonObject = {};
      if (link !== undefined) line.link = toJson(ChainLinkSchema, link);
      if (event !== undefined) line.event = toJson(AuditEventSchema, event);
      return JSON.stringify(line);
    },
    revisionOf(line) {
      const { link, event } = readEntry(line) ?? {};
      return link?.revision ?? event?.revision;
    },
  },
  csv: {
    header: [
      "revision",
      "id",
      "event_time",
      "tenant_id",
      "action",
      "target",
      "caller_key_id",
      "caller_tenant_id",
      "address",
      "request_id",
      "before_digest",
      "after_digest",
      "details",
    ].join(","),
    line: ({ event }) => event && csvLine(event),
    revisionOf: (line) => (/^\d+,/.test(line) ? BigInt(line.slice(0, line.indexOf(","))) : undefined),
  },
};

/** Reads a line of JSON; undefined if it isn't one of an exported trail. */
export function readEntry(line: string): ExportedEntry | undefined {
  try {
    const { link, event } = JSON.parse(line);
    if (link === undefined && event === undefined) return undefined;
    return {
      link: link && fromJsonString(ChainLinkSchema, JSON.stringify(link)),
      event: event && fromJsonString(AuditEventSchema, JSON.stringify(event)),
    };
  } catch {
    return undefined;
  }
}

function csvLine(event: AuditEvent): string {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  return [
    String(event.revision),
    event.id,
    event.eventTime ? timestampDate(event.eventTime).toISOString() : "",
    event.tenantId,
    event.action,
    event.target,
    event.callerKeyId,
    event.callerTenantId,
    event.address,
    event.requestId,
    hex(event.beforeDigest),
    hex(event.afterDigest),
    Object.keys(event.details).length === 0 ? "" : JSON.stringify(event.details),
  ]
    .map(csvValue)
    .join(",");
}

/** As RFC 4180 has it. */
function csvValue(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
