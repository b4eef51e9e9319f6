import { isIP } from "node:net";

/** An address: 4 bytes of IPv4 or 16 of IPv6, most significant first. Never an IPv4-mapped IPv6 address. */
export type AddressBytes = Uint8Array;

/** A network: its first address and how many leading bits its addresses share. */
export interface Network {
  readonly address: AddressBytes;
  /** 0–32 for IPv4, 0–128 for IPv6. */
  readonly prefixLength: number;
}

/** The longest text of an address: eight groups of IPv6, the last two as IPv4. */
const addressLengthMax = 45;
const prefixLengthPattern = /^(?:0|[1-9][0-9]{0,2})$/;
const dot = 0x2e;
const parsedNetworksMax = 4096;
/** Networks by their text. The same few stand in many keys and tokens, and a token's list is new with each sight of it. */
const parsedNetworks = new Map<string, Network>();

/**
 * Whether an address is in one of the networks (CIDR notation). An unknown or unreadable address is in none; a network
 * that can't be read contains nothing.
 */
export function inAnyNetwork(address: string | undefined, cidrs: readonly string[]): boolean {
  const bytes = address === undefined ? undefined : parseAddress(address);
  if (bytes === undefined) return false;
  return cidrs.some((cidr) => {
    const network = parseNetwork(cidr);
    return network !== undefined && contains(network, bytes);
  });
}

/**
 * Gives the bytes of an address: IPv4 as four decimal numbers without leading zeros, IPv6 as in RFC 4291 section 2.2.
 * IPv4-mapped IPv6 (`::ffff:192.0.2.1`) gives the IPv4 address, since dual-stack sockets show IPv4 clients that way.
 * Undefined for anything else, zone ids (`fe80::1%eth0`), ports and brackets included.
 */
export function parseAddress(text: string): AddressBytes | undefined {
  return unmapped(addressBytes(text));
}

/**
 * Gives the network of a CIDR notation (RFC 4632 section 3.1, RFC 4291 section 2.3): an address, `/`, a length without
 * leading zeros. Bits after the length are cleared. Networks of IPv4-mapped addresses give the IPv4 network.
 * Undefined for anything else, an address without length included.
 */
export function parseNetwork(text: string): Network | undefined {
  const known = parsedNetworks.get(text);
  if (known) return known;
  const network = readNetwork(text);
  if (!network) return undefined;
  if (parsedNetworks.size >= parsedNetworksMax) parsedNetworks.clear();
  parsedNetworks.set(text, network);
  return network;
}

/** Gives the one text that a network is stored under, IPv6 as RFC 5952 has it; undefined if it isn't CIDR notation. */
export function canonicalNetwork(text: string): string | undefined {
  const network = parseNetwork(text);
  return network && `${formatAddress(network.address)}/${network.prefixLength}`;
}

/** Gives the one text of an address, IPv6 as RFC 5952 has it; undefined if it isn't one. */
export function canonicalAddress(text: string): string | undefined {
  const bytes = parseAddress(text);
  return bytes && formatAddress(bytes);
}

/** Gives what one client has of addresses: an IPv4 address, or an IPv6 /64 (RFC 6177); any other text as it is. */
export function addressBlock(text: string): string {
  const address = canonicalAddress(text);
  if (address === undefined || !address.includes(":")) return address ?? text;
  return canonicalNetwork(`${address}/64`) ?? address;
}

/** Whether every address of the narrower network is in the wider one. */
export function networkCovers(wider: Network, narrower: Network): boolean {
  return wider.prefixLength <= narrower.prefixLength && contains(wider, narrower.address);
}

function readNetwork(text: string): Network | undefined {
  const slash = text.lastIndexOf("/");
  if (slash < 0 || slash > addressLengthMax) return undefined;
  const bytes = addressBytes(text.slice(0, slash));
  const lengthText = text.slice(slash + 1);
  if (!bytes || !prefixLengthPattern.test(lengthText)) return undefined;
  const prefixLength = Number(lengthText);
  if (prefixLength > bytes.length * 8) return undefined;
  const mapped = prefixLength >= 96 ? unmapped(bytes) : bytes;
  if (!mapped || mapped === bytes) return { address: masked(bytes, prefixLength), prefixLength };
  return { address: masked(mapped, prefixLength - 96), prefixLength: prefixLength - 96 };
}

function contains(network: Network, address: AddressBytes): boolean {
  if (network.address.length !== address.length) return false;
  const wholeBytes = network.prefixLength >> 3;
  for (let i = 0; i < wholeBytes; i++) if (network.address[i] !== address[i]) return false;
  const restBits = network.prefixLength & 7;
  const difference = (network.address[wholeBytes] ?? 0) ^ (address[wholeBytes] ?? 0);
  return restBits === 0 || difference >> (8 - restBits) === 0;
}

function masked(address: AddressBytes, prefixLength: number): AddressBytes {
  return address.map((byte, i) => byte & (0xff00 >> Math.min(Math.max(prefixLength - 8 * i, 0), 8)));
}

/** Bytes of an address as written; `isIP` decides what is IPv6, zone ids apart, which name a link and no network. */
function addressBytes(text: string): AddressBytes | undefined {
  if (text.length > addressLengthMax || text.includes("%")) return undefined;
  return ipv4Bytes(text) ?? (isIP(text) === 6 ? ipv6Bytes(text) : undefined);
}

/** Four numbers from 0 to 255 without leading zeros, a dot between two. */
function ipv4Bytes(text: string): AddressBytes | undefined {
  const bytes = new Uint8Array(4);
  let part = 0;
  let digits = 0;
  let value = 0;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : dot;
    if (code === dot) {
      if (digits === 0 || part === 4) return undefined;
      bytes[part++] = value;
      digits = value = 0;
      continue;
    }
    const digit = code - 0x30;
    if (digit < 0 || digit > 9 || (digits > 0 && value === 0)) return undefined;
    digits++;
    value = value * 10 + digit;
    if (value > 255) return undefined;
  }
  return part === 4 ? bytes : undefined;
}

function ipv6Bytes(text: string): AddressBytes {
  const [head = "", tail] = text.split("::");
  const before = groupBytes(head);
  const after = tail === undefined ? [] : groupBytes(tail);
  const bytes = new Uint8Array(16);
  bytes.set(before);
  bytes.set(after, 16 - after.length);
  return bytes;
}

function groupBytes(groups: string): readonly number[] {
  if (groups === "") return [];
  return groups.split(":").flatMap((group) => {
    if (group.includes(".")) return group.split(".").map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function unmapped(bytes: AddressBytes | undefined): AddressBytes | undefined {
  if (bytes?.length !== 16 || bytes[10] !== 0xff || bytes[11] !== 0xff) return bytes;
  return bytes.subarray(0, 10).every((byte) => byte === 0) ? bytes.subarray(12) : bytes;
}

function formatAddress(bytes: AddressBytes): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  const { start, length } = longestZeroRun(groups);
  const texts = groups.map((group) => group.toString(16));
  if (length < 2) return texts.join(":");
  return `${texts.slice(0, start).join(":")}::${texts.slice(start + length).join(":")}`;
}

/** The first of the longest runs of zero groups: RFC 5952 section 4.2.3 says which to shorten. */
function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let longest = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, i) => {
    if (group !== 0) start = i + 1;
    else if (i + 1 - start > longest.length) longest = { start, length: i + 1 - start };
  });
  return longest;
}
