import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { canonicalAddress, inAnyNetwork } from "../../../services/core/cidr.ts";
import { clientAddress } from "../../../services/core/client-address.ts";

const networks = ["10.0.0.0/8", "2001:db8:ffff::/48"];
const part = fc.nat({ max: 255 });
const trusted = fc.oneof(
  fc.tuple(part, part, part).map((bytes) => `10.${bytes.join(".")}`),
  fc.nat({ max: 0xffff }).map((group) => `2001:db8:ffff::${group.toString(16)}`),
);
const stranger = fc
  .oneof(
    fc.ipV4(),
    fc.ipV6().filter((text) => canonicalAddress(text) !== undefined),
  )
  .filter((text) => !inAnyNetwork(text, networks));
const anyText = fc.oneof(
  fc.string({ maxLength: 60 }),
  fc.array(fc.oneof(fc.ipV4(), trusted, fc.constant("unknown"), fc.constant("")), { maxLength: 6 }).map(String),
);
const forwarded = (address: string) => (address.includes(":") ? `for="[${address}]"` : `for=${address}`);

/** Says it as a proxy says it in each header. */
const writers = {
  "x-forwarded-for": (address: string) => address,
  forwarded,
} as const;

describe.each(["x-forwarded-for", "forwarded"] as const)("the client's address by %s", (header) => {
  const proxies = { networks, header };
  const write = writers[header];

  it("is the one that the outermost trusted proxy saw, whatever the client sent", () => {
    fc.assert(
      fc.property(anyText, stranger, fc.array(trusted, { maxLength: 4 }), trusted, (sent, client, others, peer) => {
        const said = [sent, ...[client, ...others].map(write)].join(", ");
        expect(clientAddress(peer, said, proxies)).toBe(canonicalAddress(client));
      }),
      { seed: 1, numRuns: 500 },
    );
  });

  it("is never chosen by who isn't a trusted proxy", () => {
    fc.assert(
      fc.property(anyText, stranger, (sent, peer) => {
        expect(clientAddress(peer, sent, proxies)).toBe(peer);
      }),
      { seed: 2, numRuns: 500 },
    );
  });

  it("is an address or unknown, whatever is sent", () => {
    fc.assert(
      fc.property(anyText, trusted, (sent, peer) => {
        const address = clientAddress(peer, sent, proxies);
        expect(address === "" || address === peer || canonicalAddress(address) === address).toBe(true);
      }),
      { seed: 3, numRuns: 500 },
    );
  });
});
