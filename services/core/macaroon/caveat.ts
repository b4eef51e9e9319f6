import { isAudience } from "../audience.ts";
import { parseNetwork } from "../cidr.ts";
import { type Constraints, isContextName } from "../constraints.ts";
import { isGrant } from "../scopes.ts";
import { decodeUtf8 } from "../utf8.ts";

/** Most bytes of one caveat. */
export const caveatBytesMax = 1024;

/** Latest time that a caveat can name, in seconds since the epoch: 12 digits. */
export const caveatSecondsMax = 999_999_999_999;

const secondsForm = /^(?:0|[1-9][0-9]{0,11})$/;
const controlCharacter = /\p{Cc}/u;

/** What stands before the first value of each caveat but `ctx.`, and how the rest reads. */
const forms: readonly (readonly [lead: string, read: (rest: string) => Constraints | undefined])[] = [
  ["exp < ", (rest) => readSeconds(rest, (seconds) => ({ expireTimeMs: seconds * 1000 }))],
  ["nbf >= ", (rest) => readSeconds(rest, (seconds) => ({ notBeforeMs: seconds * 1000 }))],
  // Nothing behind it is the empty list, which allows no scope.
  [
    "scope = ",
    (rest) => readList(rest, isGrant, (scopes) => ({ scopes })) ?? (rest === "" ? { scopes: [] } : undefined),
  ],
  ["aud = ", (rest) => readList(rest, isAudience, (audiences) => ({ audiences }))],
  ["cidr = ", (rest) => readList(rest, isCidr, (cidrs) => ({ cidrs }))],
];

/**
 * Reads a first-party caveat as the constraint that it is. Undefined if it is not, byte for byte, one of the seven forms
 * (`exp <`, `nbf >=`, `scope =`, `aud =`, `cidr =`, `ctx.NAME =`, `ctx.NAME ^=`): its macaroon is then refused as
 * UNSUPPORTED_CAVEAT, since a condition that isn't understood may be one that isn't met. Nothing is trimmed, unquoted,
 * folded in case or normalised.
 */
export function readCaveat(bytes: Uint8Array): Constraints | undefined {
  const text = bytes.length <= caveatBytesMax ? decodeUtf8(bytes) : undefined;
  if (text === undefined) return undefined;
  if (text.startsWith("ctx.")) return readContext(text);
  for (const [lead, read] of forms) if (text.startsWith(lead)) return read(text.slice(lead.length));
  return undefined;
}

function readSeconds(text: string, use: (seconds: number) => Constraints): Constraints | undefined {
  return secondsForm.test(text) ? use(Number(text)) : undefined;
}

function readList(
  text: string,
  isItem: (item: string) => boolean,
  use: (items: readonly string[]) => Constraints,
): Constraints | undefined {
  const items = text.split(" ");
  return items.every(isItem) ? use(items) : undefined;
}

function isCidr(text: string): boolean {
  return parseNetwork(text) !== undefined;
}

/** `ctx.NAME = V` or `ctx.NAME ^= V`; V is the rest as it stands, and may be empty. */
function readContext(text: string): Constraints | undefined {
  const nameEnd = text.indexOf(" ");
  const name = text.slice("ctx.".length, Math.max(nameEnd, 0));
  if (!isContextName(name) || controlCharacter.test(text)) return undefined;
  if (text.startsWith(" = ", nameEnd)) return { contextEquals: { [name]: text.slice(nameEnd + 3) } };
  if (text.startsWith(" ^= ", nameEnd)) return { contextPrefixes: { [name]: text.slice(nameEnd + 4) } };
  return undefined;
}
