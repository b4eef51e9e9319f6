/** What lists of keys can be ordered by; creation is the order of ids. */
export type KeyOrderField = "create_time" | "expire_time" | "name";

export interface KeyOrder {
  readonly by: KeyOrderField;
  readonly descending: boolean;
}

/** Newest first. */
export const keyOrderDefault: KeyOrder = { by: "create_time", descending: true };

/** Parses `order_by`: a field, or a field and ` desc`; empty: newest first. undefined if it is neither. */
export function parseKeyOrder(text: string): KeyOrder | undefined {
  if (text.trim() === "") return keyOrderDefault;
  const match = /^\s*(create_time|expire_time|name)(\s+(asc|desc))?\s*$/.exec(text);
  return match === null ? undefined : { by: match[1] as KeyOrderField, descending: match[3] === "desc" };
}

/**
 * Gives the least text, in the order of code points, that is greater than every text beginning with `prefix`; undefined
 * if there is none.
 */
export function textAfterPrefix(prefix: string): string | undefined {
  const points = [...prefix].map((character) => character.codePointAt(0) ?? 0);
  while (points.at(-1) === 0x10ffff) points.pop();
  const last = points.pop();
  if (last === undefined) return undefined;
  // Surrogates are no characters of their own.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1);
}
