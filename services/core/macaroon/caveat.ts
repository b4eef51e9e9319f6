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
// Unicode's category Cc; as ranges, since \p{Cc} takes several times as long to test.
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to keep out
const controlCharacter = /[\u0000-\u001f\u007f-\u009f]/;

/**
 * Reads a first-party caveat as the constraint that it is. Undefined if it is not, byte for byte, one of the seven forms
 * (`exp <`, `nbf >=`, `scope =`, `aud =`, `cidr =`, `ctx.NAME =`, `ctx.NAME ^=`): its macaroon is then refused as
 * UNSUPPORTED_CAVEAT, since a condition that isn't understood may be one that isn't met. Nothing is trimmed, unquoted,
 * folded in case or normalised.
 */
export function readCaveat(bytes: Uint8Array): Constraints | undefined {
  const text = bytes.length <= caveatBytesMax ? decodeUtf8(bytes) : undefined;
  if (text === undefined) return undefined;
  if (text.startsWith("exp < ")) {
    const seconds = readSeconds(text.slice(6));
    return seconds === undefined ? undefined : { expireTimeMs: seconds * 1000 };
  }
  if (text.startsWith("nbf >= ")) {
    const seconds = readSeconds(text.slice(7));
    return seconds === undefined ? undefined : { notBeforeMs: seconds * 1000 };
  }
  if (text.startsWith("scope = ")) {
    // Nothing behind it is the empty list, which allows no scope.
    const scopes = text.length === 8 ? [] : readList(text.slice(8), isGrant);
    return scopes && { scopes };
  }
  if (text.startsWith("aud = ")) {
    const audiences = readList(text.slice(6), isAudience);
    return audiences && { audiences };
  }
  if (text.startsWith("cidr = ")) {
    const cidrs = readList(text.slice(7), isCidr);
    return cidrs && { cidrs };
  }
  return text.startsWith("ctx.") ? readContext(text) : undefined;
}

function readSeconds(text: string): number | undefined {
  return secondsForm.test(text) ? Number(text) : undefined;
}

/** At least one item, a single space between two. */
function readList(text: string, isItem: (item: string) => boolean): readonly string[] | undefined {
  if (!text.includes(" ")) return isItem(text) ? [text] : undefined;
  const items = text.split(" ");
  return items.every(isItem) ? items : undefined;
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
