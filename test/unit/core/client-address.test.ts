import { describe, expect, it } from "vitest";
import { clientAddress, type ForwardedHeader } from "../../../services/core/client-address.ts";

const networks = ["10.0.0.0/8", "2001:db8:ffff::/48"];
const found = (header: string | undefined, name: ForwardedHeader = "x-forwarded-for", peer = "10.0.0.1") =>
  clientAddress(peer, header, { networks, header: name });

describe("the client's address", () => {
  it.each([
    ["the peer, if that is no trusted proxy", "198.51.100.9", "203.0.113.7", "203.0.113.7"],
    ["the peer, if nothing is said", undefined, "10.0.0.1", "10.0.0.1"],
    ["the peer, if nothing but commas is said", " , ,", "10.0.0.1", "10.0.0.1"],
    ["the peer, if nothing at all is said", "", "10.0.0.1", "10.0.0.1"],
    ["the last one behind a comma that begins the list", ",10.1.0.1", "10.0.0.1", "10.1.0.1"],
    ["what the only proxy says", "198.51.100.9", "10.0.0.1", "198.51.100.9"],
    ["the last one, whatever a client wrote before it", "6.6.6.6, 198.51.100.9", "10.0.0.1", "198.51.100.9"],
    ["the one before trusted proxies", "6.6.6.6, 198.51.100.9, 10.2.0.1,10.3.0.1", "10.0.0.1", "198.51.100.9"],
    ["the leftmost, if all are trusted", "10.1.0.1, 10.2.0.1", "10.0.0.1", "10.1.0.1"],
    ["IPv6 in its one form", "2001:DB8:0:0:0:0:0:1", "2001:db8:ffff::7", "2001:db8::1"],
    ["an IPv4-mapped address as IPv4", "::ffff:198.51.100.9", "::ffff:10.0.0.1", "198.51.100.9"],
    ["an address with a port", "198.51.100.9:443", "10.0.0.1", "198.51.100.9"],
    ["an IPv6 address with a port", "[2001:db8::1]:443", "10.0.0.1", "2001:db8::1"],
    ["unknown, if a trusted proxy says so", "6.6.6.6, unknown", "10.0.0.1", ""],
    ["unknown, if a trusted proxy says what is no address", "6.6.6.6, 198.51.100.999", "10.0.0.1", ""],
    ["unknown, if a trusted proxy says so for another one", "_hidden, 10.2.0.1", "10.0.0.1", ""],
    ["unknown for a link's address with its zone", "fe80::1%eth0", "10.0.0.1", ""],
  ])("is %s", (_title, header, peer, expected) => {
    expect(found(header, "x-forwarded-for", peer)).toBe(expected);
  });

  it.each([
    ["for=198.51.100.9", "198.51.100.9"],
    ["For=198.51.100.9;proto=https;by=203.0.113.43", "198.51.100.9"],
    ['proto=https; for="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"],
    ['for="198.51.100.9:80"', "198.51.100.9"],
    ["for=6.6.6.6, for=198.51.100.9;proto=http, for=10.9.0.1", "198.51.100.9"],
    ['for="6.6.6.6, for=198.51.100.9', "198.51.100.9"],
    ['for=198.51.100.9;host="a;for=6.6.6.6"', ""],
    ["for=198.51.100.9;for=6.6.6.6", ""],
    ["for=unknown", ""],
    ["for=_obfuscated", ""],
    ["by=203.0.113.43", ""],
    ["198.51.100.9", ""],
    ['for="198.51.100.9\\""', ""],
  ])("is read out of Forwarded: %s", (header, expected) => {
    expect(found(header, "forwarded")).toBe(expected);
  });
});
