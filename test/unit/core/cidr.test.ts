import { describe, expect, it } from "vitest";
import {
  canonicalAddress,
  canonicalNetwork,
  inAnyNetwork,
  type Network,
  networkCovers,
  parseAddress,
  parseNetwork,
} from "../../../services/core/cidr.ts";

describe("addresses", () => {
  it.each([
    ["192.0.2.1", "192.0.2.1"],
    ["0.0.0.0", "0.0.0.0"],
    ["255.255.255.255", "255.255.255.255"],
    ["::", "::"],
    ["::1", "::1"],
    ["2001:DB8::A", "2001:db8::a"],
    ["2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"],
    ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["1::", "1::"],
    ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
    ["::192.0.2.1", "::c000:201"],
    ["::ffff:192.0.2.1", "192.0.2.1"],
    ["::ffff:c000:201", "192.0.2.1"],
    ["0:0:0:0:0:FFFF:192.0.2.1", "192.0.2.1"],
    ["::fffe:c000:201", "::fffe:c000:201"],
    ["1::ffff:192.0.2.1", "1::ffff:c000:201"],
  ])("%s is %s", (text, canonical) => {
    expect(canonicalAddress(text)).toBe(canonical);
    expect(parseAddress(canonical)).toEqual(parseAddress(text));
  });

  it.each([
    "",
    "localhost",
    "1.2.3",
    "1.2.3.4.5",
    "01.2.3.4",
    "1.2.3.04",
    "256.0.0.1",
    "0x7f.0.0.1",
    "2130706433",
    " 1.2.3.4",
    "1.2.3.4\n",
    "1.2.3.4:80",
    "[::1]",
    "fe80::1%eth0",
    "fe80::1%",
    ":::",
    "1::2::3",
    "12345::",
    "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:7:8:9",
    "::ffff:01.2.3.4",
    "::1.2.3.4:5",
    "\u0661.2.3.4",
    "1".repeat(100_000),
  ])("%j is none", (text) => {
    expect(parseAddress(text)).toBeUndefined();
    expect(parseNetwork(`${text}/8`)).toBeUndefined();
  });
});

describe("networks", () => {
  it.each([
    ["10.0.0.0/8", "10.0.0.0/8"],
    ["10.1.2.3/8", "10.0.0.0/8"],
    ["192.0.2.255/31", "192.0.2.254/31"],
    ["192.0.2.1/32", "192.0.2.1/32"],
    ["1.2.3.4/0", "0.0.0.0/0"],
    ["2001:DB8:ffff::/33", "2001:db8:8000::/33"],
    ["::1/128", "::1/128"],
    ["ffff::/0", "::/0"],
    ["::ffff:10.1.2.3/104", "10.0.0.0/8"],
    ["::ffff:0:0/96", "0.0.0.0/0"],
  ])("%s is %s", (text, canonical) => {
    expect(canonicalNetwork(text)).toBe(canonical);
  });

  it.each([
    "10.0.0.0",
    "10.0.0.0/",
    "/8",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "10.0.0.0/+8",
    "10.0.0.0/-1",
    "10.0.0.0/8 ",
    "10.0.0.0/8.0",
    "10.0.0.0/255.0.0.0",
    "10.0.0.0/8/8",
    "10/8",
    "::/129",
    "::/1280",
    "fe80::%eth0/64",
    "10.0.0.0/1000000000000000000000",
  ])("%s is none", (text) => {
    expect(parseNetwork(text)).toBeUndefined();
    expect(canonicalNetwork(text)).toBeUndefined();
  });
});

describe("inAnyNetwork", () => {
  it.each<[string, string, boolean]>([
    ["10.255.255.255", "10.0.0.0/8", true],
    ["11.0.0.0", "10.0.0.0/8", false],
    ["192.0.2.127", "192.0.2.0/25", true],
    ["192.0.2.128", "192.0.2.0/25", false],
    ["192.0.2.1", "192.0.2.1/32", true],
    ["192.0.2.2", "192.0.2.1/32", false],
    ["8.8.8.8", "0.0.0.0/0", true],
    ["2001:db8::1", "2001:db8::/32", true],
    ["2001:db9::1", "2001:db8::/32", false],
    ["2001:db8:7fff::", "2001:db8::/33", true],
    ["2001:db8:8000::", "2001:db8::/33", false],
    ["::ffff:10.1.2.3", "10.0.0.0/8", true],
    ["10.1.2.3", "::ffff:10.0.0.0/104", true],
    ["10.1.2.3", "::/0", false],
    ["2001:db8::1", "0.0.0.0/0", false],
  ])("%s in %s: %s", (address, cidr, expected) => {
    expect(inAnyNetwork(address, [cidr])).toBe(expected);
  });

  it("finds the address in any network of a list, on first and later use", () => {
    const cidrs = ["192.0.2.0/24", "2001:db8::/32"];
    for (let use = 0; use < 2; use++) {
      expect(inAnyNetwork("2001:db8::5", cidrs)).toBe(true);
      expect(inAnyNetwork("198.51.100.1", cidrs)).toBe(false);
    }
  });

  it("refuses an unknown or unreadable address, and everything where there is no network", () => {
    expect(inAnyNetwork(undefined, ["0.0.0.0/0", "::/0"])).toBe(false);
    expect(inAnyNetwork("", ["0.0.0.0/0", "::/0"])).toBe(false);
    expect(inAnyNetwork("10.0.0.1", [])).toBe(false);
  });

  it("lets a network that can't be read contain nothing", () => {
    expect(inAnyNetwork("10.0.0.1", ["10.0.0.0"])).toBe(false);
    expect(inAnyNetwork("10.0.0.1", ["bad", "10.0.0.0/8"])).toBe(true);
  });
});

describe("networkCovers", () => {
  it.each<[string, string, boolean]>([
    ["10.0.0.0/8", "10.1.0.0/16", true],
    ["10.0.0.0/8", "10.0.0.0/8", true],
    ["10.1.0.0/16", "10.0.0.0/8", false],
    ["10.0.0.0/8", "11.0.0.0/16", false],
    ["::/0", "10.0.0.0/8", false],
    ["2001:db8::/32", "2001:db8:1::/48", true],
  ])("%s, %s: %s", (wider, narrower, expected) => {
    expect(networkCovers(parseNetwork(wider) as Network, parseNetwork(narrower) as Network)).toBe(expected);
  });
});
