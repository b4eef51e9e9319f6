import type { ClockSkew, StoreProbe } from "../store/probe-store.ts";
import { StoreStartError } from "../store/start-error.ts";
import { type Finding, fail, messageOf, ok, warn } from "./finding.ts";

/** Clocks may differ by so much without anybody noticing, in ms. */
const skewMsGood = 1_000;
/** From this difference on, verifiers and `wait` can't go by each other's times, in ms. */
const skewMsMax = 5_000;

/** Looks at a database before it is used. The probe is undefined if it can't be used at all. */
export async function examineStore(
  place: string,
  probe: () => Promise<StoreProbe>,
): Promise<{ readonly findings: readonly Finding[]; readonly usable: boolean }> {
  let seen: StoreProbe;
  try {
    seen = await probe();
  } catch (error) {
    if (!(error instanceof StoreStartError)) throw error;
    const remedy = "see ICHOR_DATABASE_URL, and the operating guide's page on databases";
    return { findings: [fail("store", messageOf(error), remedy)], usable: false };
  }
  const findings = [
    ok("store", `${place} is reachable`),
    pendingFinding(seen.pending),
    ...durabilityFindings(seen),
    ...(seen.skew === undefined ? [] : [skewFinding(seen.skew)]),
  ];
  return { findings, usable: seen.pending.length === 0 };
}

function pendingFinding(pending: readonly string[]): Finding {
  if (pending.length === 0) return ok("migrations", "the schema is that of this version");
  return fail("migrations", `the schema lacks ${pending.join(", ")}`, 'run "ichor migrate", or start a server');
}

function durabilityFindings({ durability }: StoreProbe): readonly Finding[] {
  if (durability === undefined) return [];
  const { refused, reported } = durability;
  if (refused.length + reported.length === 0)
    return [ok("durability", "the database keeps what it acknowledges, as far as its settings tell")];
  const remedy = "see the operating guide's page on databases, under durability";
  return [
    ...refused.map((text) => fail("durability", text, remedy)),
    ...reported.map((text) => warn("durability", text, remedy)),
  ];
}

function skewFinding({ aheadMs, uncertainMs }: ClockSkew): Finding {
  // What is certain of it: a slow answer is no skew.
  const leastMs = Math.max(0, Math.abs(aheadMs) - uncertainMs);
  const text = `the database's clock is ${Math.round(Math.abs(aheadMs))} ms ${aheadMs < 0 ? "behind" : "ahead of"} this machine's`;
  if (leastMs < skewMsGood) return ok("clock", text);
  const remedy = "let NTP set the clocks of the database and of every server";
  return leastMs < skewMsMax ? warn("clock", text, remedy) : fail("clock", text, remedy);
}
