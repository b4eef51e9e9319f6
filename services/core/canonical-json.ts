/** What has one canonical text: JSON in which absent members may stand as undefined. */
export type CanonicalValue =
  | null
  | boolean
  | number
  | string
  | readonly CanonicalValue[]
  | { readonly [name: string]: CanonicalValue | undefined };

/**
 * Gives the one text of a JSON value, as RFC 8785 (JCS) has it: members sorted by UTF-16 units, no spaces, numbers and
 * strings as ECMAScript writes them. Members that are undefined are left out. Throws TypeError for numbers that JSON
 * doesn't have.
 */
export function canonicalJson(value: CanonicalValue): string {
  if (typeof value === "number" && !Number.isFinite(value)) throw new TypeError("JSON has finite numbers only");
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (isList(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const members: string[] = [];
  for (const name of Object.keys(value).sort()) {
    const member = value[name];
    if (member !== undefined) members.push(`${JSON.stringify(name)}:${canonicalJson(member)}`);
  }
  return `{${members.join(",")}}`;
}

/**
 * Whether a value is JSON that every form of it carries the same: numbers finite, no half of a surrogate pair, nothing
 * undefined. What protobuf decodes as google.protobuf.Struct may be none.
 */
export function isPortableJson(value: unknown): boolean {
  if (typeof value === "string") return !/\p{Cs}/u.test(value);
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object") return typeof value === "boolean";
  if (value === null) return true;
  return Object.entries(value).every(([name, member]) => isPortableJson(name) && isPortableJson(member));
}

function isList(value: object): value is readonly CanonicalValue[] {
  return Array.isArray(value);
}
