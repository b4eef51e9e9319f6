import { canonicalAddress, inAnyNetwork } from "./cidr.ts";

/** The headers by which proxies tell for whom they ask; which one is a matter of the proxies. */
export const forwardedHeaders = ["x-forwarded-for", "forwarded"] as const;
export type ForwardedHeader = (typeof forwardedHeaders)[number];

/** Who is believed when it says for whom it asks. */
export interface TrustedProxies {
  /** Their networks, CIDR notation; empty: nobody. */
  readonly networks: readonly string[];
  /** The one header that they set. The other is never read, since a proxy that doesn't know it passes a client's on. */
  readonly header: ForwardedHeader;
}

/**
 * Gives the address of the client: the first one from the right that is no trusted proxy's. What stands left of it was
 * written by who isn't trusted. A peer that is no trusted proxy is the client, whatever it sends; if all are trusted, the
 * leftmost is. Empty if a trusted proxy says nothing that is an address (`unknown`, RFC 7239 section 6.2): an unknown
 * client, which networks refuse.
 *
 * @param peerAddress of the connection; empty: there is none
 * @param header the value of the trusted proxies' header, several joined by commas; undefined: it wasn't sent
 */
export function clientAddress(
  peerAddress: string,
  header: string | undefined,
  { networks, header: name }: TrustedProxies,
): string {
  if (header === undefined || !inAnyNetwork(peerAddress, networks)) return peerAddress;
  let client = peerAddress;
  // From the right, and by commas alone: a quote that a client left open must not swallow what a proxy appended.
  for (let end = header.length; end >= 0; ) {
    const start = end === 0 ? 0 : header.lastIndexOf(",", end - 1) + 1;
    const hop = header.slice(start, end).trim();
    end = start - 1;
    // RFC 9110 section 5.6.1: empty elements of a list are none.
    if (hop === "") continue;
    const address = name === "forwarded" ? addressOfElement(hop) : addressOfNode(hop);
    if (address === undefined) return "";
    client = address;
    if (!inAnyNetwork(address, networks)) break;
  }
  return client;
}

/** `for=192.0.2.1;proto=https`, RFC 7239 section 4: the only `for` of an element. */
function addressOfElement(element: string): string | undefined {
  const values = element.split(";").flatMap((pair) => {
    const [, name = "", value = ""] = /^\s*([^=\s]+)=(.*?)\s*$/.exec(pair) ?? [];
    return name.toLowerCase() === "for" ? [value] : [];
  });
  const [value] = values;
  if (values.length !== 1 || value === undefined) return undefined;
  return addressOfNode(/^"([^"\\]*)"$/.exec(value)?.[1] ?? value);
}

/** An address, or one with a port; IPv6 with a port in brackets. */
function addressOfNode(node: string): string | undefined {
  const bracketed = /^\[([0-9a-fA-F:.]+)\](?::\d{1,5})?$/.exec(node)?.[1];
  const ipv4 = /^([0-9.]+):\d{1,5}$/.exec(node)?.[1];
  return canonicalAddress(bracketed ?? ipv4 ?? node);
}
