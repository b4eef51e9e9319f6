import { decodeCanonicalBase64url } from "../base64url.ts";
import { caveatsMax, type Macaroon, type RawCaveat, signatureBytes } from "./macaroon.ts";

// The JSON forms: v2 as libmacaroons and go-macaroon write it, v1 as its predecessors did. npm `macaroon` can export
// only these once there are a few caveats, so that a holder who narrows with it has JSON in hand. Never written here.
type Fields = Readonly<Record<string, unknown>>;

/** Reads v2 or v1 JSON; undefined if malformed, or if a field is given both as text and as base64url. */
export function readMacaroonJson(text: string): Macaroon | undefined {
  const value = parseObject(text);
  if (value === undefined) return undefined;
  return "signature" in value || "identifier" in value ? readV1(value) : readV2(value);
}

function parseObject(text: string): Fields | undefined {
  try {
    return asObject(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : undefined;
}

/** `{"v":2,"l":…,"i"|"i64":…,"c":[…],"s"|"s64":…}`; `v` may be absent, but nothing other than the number 2. */
function readV2(value: Fields): Macaroon | undefined {
  if ("v" in value && value.v !== 2) return undefined;
  return macaroonOf({
    location: value.l,
    identifier: bytesField(value, "i"),
    caveats: value.c,
    signature: bytesField(value, "s"),
    readCaveat: (caveat) =>
      caveatOf(bytesField(caveat, "i"), "v" in caveat || "v64" in caveat ? bytesField(caveat, "v") : null, caveat.l),
  });
}

/** `{"location":…,"identifier":…,"caveats":[{"cid","vid","cl"}],"signature":hex}`. */
function readV1(value: Fields): Macaroon | undefined {
  const { signature } = value;
  const isHex = typeof signature === "string" && /^[0-9a-f]{64}$/.test(signature);
  return macaroonOf({
    location: value.location,
    identifier: textBytes(value.identifier),
    caveats: value.caveats,
    signature: isHex ? Buffer.from(signature, "hex") : undefined,
    readCaveat: (caveat) =>
      caveatOf(textBytes(caveat.cid), "vid" in caveat ? base64Bytes(caveat.vid) : null, caveat.cl),
  });
}

interface Parts {
  readonly location: unknown;
  readonly identifier: Uint8Array | undefined;
  readonly caveats: unknown;
  readonly signature: Uint8Array | undefined;
  readonly readCaveat: (caveat: Fields) => RawCaveat | undefined;
}

function macaroonOf({ location = "", identifier, caveats = [], signature, readCaveat }: Parts): Macaroon | undefined {
  if (typeof location !== "string" || identifier === undefined || signature?.length !== signatureBytes)
    return undefined;
  // null is what go-macaroon's older releases write for no caveats.
  const list: readonly unknown[] | undefined = caveats === null ? [] : Array.isArray(caveats) ? caveats : undefined;
  if (list === undefined || list.length > caveatsMax) return undefined;
  const read = list.map((value) => {
    const caveat = asObject(value);
    return caveat && readCaveat(caveat);
  });
  return read.every((caveat) => caveat !== undefined) ? { location, identifier, caveats: read, signature } : undefined;
}

/** `verificationId`: null if the field is absent, undefined if it is malformed. */
function caveatOf(
  id: Uint8Array | undefined,
  verificationId: Uint8Array | null | undefined,
  location: unknown,
): RawCaveat | undefined {
  if (id === undefined || verificationId === undefined) return undefined;
  if (verificationId === null) return location === undefined ? { id } : undefined;
  if (verificationId.length === 0 || (location !== undefined && typeof location !== "string")) return undefined;
  return location === undefined ? { id, verificationId } : { id, verificationId, location };
}

/** A field given either as text under `name` or as base64url under `name64`; both is ambiguous. */
function bytesField(value: Fields, name: string): Uint8Array | undefined {
  const encoded = `${name}64`;
  if (name in value) return encoded in value ? undefined : textBytes(value[name]);
  return base64Bytes(value[encoded]);
}

/** Half a surrogate pair has no bytes in UTF-8: such text would not come back as it was. */
function textBytes(value: unknown): Uint8Array | undefined {
  if (typeof value !== "string") return undefined;
  const bytes = Buffer.from(value);
  return bytes.toString() === value ? bytes : undefined;
}

/** Either alphabet of base64, with or without padding: the implementations differ. */
function base64Bytes(value: unknown): Uint8Array | undefined {
  if (typeof value !== "string") return undefined;
  const padded = /^[A-Za-z0-9+/_-]*(={0,2})$/.exec(value);
  if (padded === null || (padded[1] !== "" && value.length % 4 !== 0)) return undefined;
  return decodeCanonicalBase64url(value.replace(/=+$/, "").replaceAll("+", "-").replaceAll("/", "_"));
}
