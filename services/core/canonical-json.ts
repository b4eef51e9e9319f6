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

function isList(value: object): value is readonly CanonicalValue[] {
  return Array.isArray(value);
}
