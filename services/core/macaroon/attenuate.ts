import { byteStringOf, bytesOf } from "../hmac-sha256.ts";
import { readCaveat } from "./caveat.ts";
import { extendChain } from "./chain.ts";
import { trailerBytes, writeFirstPartyCaveat } from "./codec-v2.ts";
import { caveatsMax } from "./macaroon.ts";
import { formatMacaroonText, readMacaroonText } from "./text.ts";

/**
 * Narrows a macaroon by appending caveats, as `writeCaveats` gives them: needs no key and no server, only the macaroon.
 * The result is bound by the caveats that it had and by each new one.
 *
 * Throws TypeError if `text` is no macaroon, a caveat is one that verifiers refuse, there would be more than 64 of them,
 * or the result would be longer than a credential may be.
 */
export function attenuateMacaroon(text: string, caveats: readonly string[]): string {
  const read = readMacaroonText(text);
  if (read === undefined) throw new TypeError("not a macaroon");
  if (read.macaroon.caveats.length + caveats.length > caveatsMax)
    throw new TypeError("a macaroon has at most 64 caveats");
  const ids = caveats.map((caveat) => Buffer.from(caveat));
  // Half a surrogate pair has no bytes: another caveat would be appended than was asked for.
  const refused = ids.findIndex((id, i) => readCaveat(id) === undefined || id.toString() !== caveats[i]);
  if (refused >= 0) throw new TypeError(`caveat ${refused} is in none of the forms that verifiers know`);
  return formatMacaroonText(read.prefix, attenuateMacaroonV2(read.bytes, ids));
}

/**
 * The same for a well-formed v2 binary and any first-party caveats. They go before the last 35 bytes, which are always
 * `00 06 20` and the signature: nothing else need be read, and nothing is copied field by field.
 */
export function attenuateMacaroonV2(bytes: Uint8Array, caveatIds: readonly Uint8Array[]): Buffer {
  const end = bytes.length - trailerBytes;
  let signature = byteStringOf(bytes.subarray(end + 3));
  for (const id of caveatIds) signature = extendChain(signature, { id });
  return Buffer.concat([
    bytes.subarray(0, end),
    ...caveatIds.map(writeFirstPartyCaveat),
    bytes.subarray(end, end + 3),
    bytesOf(signature),
  ]);
}
