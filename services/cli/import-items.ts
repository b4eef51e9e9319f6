import { fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { type ImportApiKeyRequest, ImportApiKeyRequestSchema } from "../../gen/ichor/v1/admin_service_pb.ts";
import { csvValues } from "./import-records.ts";
import { CommandEnd, exitStatus } from "./io.ts";

/** Makes the request of a record. Throws a RangeError, with a sentence that quotes nothing, if it can't be read. */
export type ItemOf = (text: string) => ImportApiKeyRequest;

/**
 * JSON lines: each is an ImportApiKeyRequest as protobuf JSON (names as `ownerId` or `owner_id`); `sha256` may be hex.
 * `defaults` are fields of lines that have none of that name.
 */
export function jsonLineItems(defaults: JsonObject): ItemOf {
  return (text) => {
    const fields = attempt(() => JSON.parse(text) as JsonValue, "is no JSON");
    if (typeof fields !== "object" || fields === null || Array.isArray(fields))
      throw new RangeError("is no JSON object");
    return itemOf({ ...defaults, ...fields });
  };
}

const listColumns = ["scopes", "allowed_cidrs"];
const plainColumns = ["raw", "sha256", "name", "owner_id", "ttl", "expire_time"];

/**
 * CSV with a header of columns: `raw` or `sha256` (hex or base64), `name`, `owner_id`, `scopes` and `allowed_cidrs`
 * (separated by blanks), `ttl` (as 3600s), `expire_time`, `never_expires` (true), `labels.NAME`. Empty values are not set.
 * Throws CommandEnd for any other column.
 */
export function csvItems(header: string, defaults: JsonObject): ItemOf {
  const columns = (csvValues(header.replace(/^\uFEFF/, "")) ?? []).map((column) => column.trim());
  const known = (column: string) =>
    [...plainColumns, ...listColumns, "never_expires"].includes(column) || column.startsWith("labels.");
  const unknown = columns.filter((column) => !known(column));
  if (columns.length === 0 || unknown.length > 0 || new Set(columns).size < columns.length) {
    const what =
      unknown.length > 0 ? `unknown columns: ${unknown.join(", ")}` : "columns that are none, or twice there";
    throw new CommandEnd(exitStatus.usage, `the first line must name the columns; it has ${what}`);
  }
  return (text) => {
    const values = csvValues(text);
    if (values === undefined) throw new RangeError("has wrong quotes");
    if (values.length !== columns.length)
      throw new RangeError(`has ${values.length} values for ${columns.length} columns`);
    const labels: Record<string, string> = {};
    const fields: Record<string, JsonValue> = {};
    columns.forEach((column, i) => {
      const value = values[i] ?? "";
      if (value === "") return;
      if (column.startsWith("labels.")) labels[column.slice("labels.".length)] = value;
      else if (listColumns.includes(column)) fields[column] = value.trim().split(/\s+/);
      else if (column === "never_expires") fields[column] = value === "true" ? true : value;
      else fields[column] = value;
    });
    return itemOf({ ...defaults, ...fields, ...(Object.keys(labels).length > 0 && { labels }) });
  };
}

function itemOf(fields: JsonObject): ImportApiKeyRequest {
  const { sha256 } = fields;
  const hex = typeof sha256 === "string" && /^[0-9a-fA-F]{64}$/.test(sha256) ? sha256 : undefined;
  const json = hex === undefined ? fields : { ...fields, sha256: Buffer.from(hex, "hex").toString("base64") };
  return attempt(
    () => fromJson(ImportApiKeyRequestSchema, json),
    "has a field that ImportApiKeyRequest doesn't have so",
  );
}

/** What parsers say may quote a secret; only our own words are told. */
function attempt<T>(parse: () => T, fault: string): T {
  try {
    return parse();
  } catch {
    throw new RangeError(fault);
  }
}
