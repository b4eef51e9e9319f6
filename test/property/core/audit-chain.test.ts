import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  type ChainEntry,
  checkChain,
  eventDigest,
  type LoggedChange,
} from "../../../services/core/audit/check-chain.ts";
import type { AuditEvent } from "../../../services/core/audit-event.ts";
import { chainHash, genesisHash } from "../../../services/core/change-chain.ts";
import { sha256 } from "../../../services/core/digest.ts";

const genesis = { revision: 0n, hash: genesisHash };

/** A right chain with one entry for each of these texts, every other one compacted. */
function chainOf(texts: readonly string[]): ChainEntry[] {
  let hash: Uint8Array = genesisHash;
  return texts.map((text, i) => {
    const revision = BigInt(i + 1);
    // No two are a bit apart: that would be the other's content.
    const payload = Buffer.concat([sha256(String(i)), Buffer.from(text)]);
    const event = { id: `evt_${i}`, timeMs: i, tenantId: "ten", action: text, target: "t", address: "", requestId: "" };
    const changeDigest = sha256(payload);
    hash = chainHash(hash, revision, changeDigest, eventDigest(event as unknown as AuditEvent));
    const change: LoggedChange = { hash, changeDigest, ...(i % 2 === 0 && { payload }) };
    return { revision, change, event: event as unknown as AuditEvent };
  });
}

const chains = fc.array(fc.string(), { minLength: 2, maxLength: 30 });
const flipped = (bytes: Uint8Array, at: number) => bytes.map((byte, i) => (i === at % bytes.length ? byte ^ 1 : byte));

/** What can be done to an entry; undefined if there is nothing to do it to. */
const harms: Readonly<Record<string, (entry: ChainEntry, at: number) => ChainEntry | undefined>> = {
  "a bit of its hash": (entry, at) =>
    entry.change && { ...entry, change: { ...entry.change, hash: flipped(entry.change.hash, at) } },
  "a bit of its digest": (entry, at) =>
    entry.change && { ...entry, change: { ...entry.change, changeDigest: flipped(entry.change.changeDigest, at) } },
  "a bit of its change": (entry, at) =>
    entry.change?.payload && { ...entry, change: { ...entry.change, payload: flipped(entry.change.payload, at) } },
  "the time of its event": (entry) => ({ ...entry, event: { ...(entry.event as AuditEvent), timeMs: -1 } }),
  "details of its event": (entry) => ({ ...entry, event: { ...(entry.event as AuditEvent), details: { more: "" } } }),
  "its event": (entry) => ({ ...entry, event: undefined }),
  "its change": (entry) => ({ ...entry, change: undefined }),
};

describe("checkChain", () => {
  it("finds nothing wrong with a chain that is right, whole or in parts", () => {
    fc.assert(
      fc.property(chains, fc.nat(), (texts, cut) => {
        const chain = chainOf(texts);
        const middle = cut % texts.length;
        const { at, fault } = checkChain(genesis, chain.slice(0, middle));
        expect(fault).toBeUndefined();
        expect(checkChain(at, chain.slice(middle))).toEqual({
          at: { revision: BigInt(texts.length), hash: chain.at(-1)?.change?.hash },
        });
      }),
    );
  });

  it.each(Object.keys(harms))("finds the first entry of which someone changed or took away %s", (name) => {
    fc.assert(
      fc.property(chains, fc.nat(), fc.nat(), (texts, place, at) => {
        const chain = chainOf(texts);
        const i = place % texts.length;
        const harmed = harms[name]?.(chain[i] as ChainEntry, at);
        fc.pre(harmed !== undefined);
        chain[i] = harmed as ChainEntry;
        const check = checkChain(genesis, chain);
        expect(check.fault).toMatchObject({ revision: BigInt(i + 1) });
        expect(check.fault?.kind).toBe(harmed?.event && harmed.change ? "CHANGED" : "REMOVED");
        expect(check.at.revision).toBe(BigInt(i));
      }),
    );
  });

  it("names which two entries changed places, whatever part of them did", () => {
    fc.assert(
      fc.property(chains, fc.nat(), fc.nat(), fc.constantFrom("entry", "change", "event"), (texts, a, b, part) => {
        const chain = chainOf(texts);
        const [i, j] = [a % texts.length, b % texts.length].sort((x, y) => x - y) as [number, number];
        fc.pre(i !== j);
        const [one, other] = [chain[i], chain[j]] as [ChainEntry, ChainEntry];
        const taken = (from: ChainEntry, into: ChainEntry): ChainEntry => ({
          revision: into.revision,
          change: part === "event" ? into.change : from.change,
          event: part === "change" ? into.event : from.event,
        });
        [chain[i], chain[j]] = [taken(other, one), taken(one, other)];
        expect(checkChain(genesis, chain).fault).toMatchObject({
          kind: "REORDERED",
          revision: BigInt(i + 1),
          otherRevision: BigInt(j + 1),
        });
      }),
    );
  });
});
