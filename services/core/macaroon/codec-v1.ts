import { decodeUtf8 } from "../utf8.ts";
import { caveatsMax, type Macaroon, macaroonBytesMax, type RawCaveat, signatureBytes } from "./macaroon.ts";

// The v1 binary form of libmacaroons: packets of 4 lower-case hexadecimal digits (the length of the whole packet), a
// name, a space, data, a newline. Read so that a macaroon narrowed by an old library can be brought into our form; never written.
const headerForm = /^[0-9a-f]{4}$/;
const headerBytes = 4;

interface Packet {
  readonly name: string;
  readonly data: Uint8Array;
}

/** Reads the v1 binary form, as strictly as the v2 form; undefined if malformed. The parts are views of `bytes`. */
export function readMacaroonV1(bytes: Uint8Array): Macaroon | undefined {
  const packets = bytes.length <= macaroonBytesMax ? readPackets(bytes) : undefined;
  const [location, identifier, ...rest] = packets ?? [];
  const signature = rest.pop();
  if (location?.name !== "location" || identifier?.name !== "identifier" || signature?.name !== "signature")
    return undefined;
  const caveats = readCaveats(rest);
  const locationText = decodeUtf8(location.data);
  if (caveats === undefined || locationText === undefined || signature.data.length !== signatureBytes) return undefined;
  return { location: locationText, identifier: identifier.data, caveats, signature: signature.data };
}

function readPackets(bytes: Uint8Array): Packet[] | undefined {
  const packets: Packet[] = [];
  for (let at = 0; at < bytes.length; ) {
    const header = Buffer.from(bytes.subarray(at, at + headerBytes)).toString("latin1");
    const end = at + (headerForm.test(header) ? Number.parseInt(header, 16) : 0);
    const space = bytes.indexOf(0x20, at + headerBytes);
    if (end > bytes.length || space < 0 || space >= end - 1 || bytes[end - 1] !== 0x0a) return undefined;
    const name = Buffer.from(bytes.subarray(at + headerBytes, space)).toString("latin1");
    packets.push({ name, data: bytes.subarray(space + 1, end - 1) });
    at = end;
  }
  return packets;
}

/** A caveat is `cid`, or `cid` `vid` `cl` if it is for a third party. */
function readCaveats(packets: readonly Packet[]): RawCaveat[] | undefined {
  const caveats: RawCaveat[] = [];
  for (let at = 0; at < packets.length; ) {
    const [id, verificationId, location] = packets.slice(at, at + 3);
    if (id?.name !== "cid" || caveats.length === caveatsMax) return undefined;
    if (verificationId?.name !== "vid") {
      caveats.push({ id: id.data });
      at += 1;
      continue;
    }
    const locationText = location?.name === "cl" ? decodeUtf8(location.data) : undefined;
    if (locationText === undefined || verificationId.data.length === 0) return undefined;
    caveats.push({ id: id.data, verificationId: verificationId.data, location: locationText });
    at += 3;
  }
  return caveats;
}
