// The holder of a macaroon narrows it for a task, without asking anyone, and hands it on.
//   ICHOR_MACAROON=ichor_mc_… node attenuate.mjs
import { attenuate } from "@ichor/verifier";

const macaroon = process.env.ICHOR_MACAROON;

// Each narrowing is appended and can't be taken off again: whoever gets the result can't make it wider.
const forTheTask = attenuate(macaroon, {
  scopes: ["invoices:read"],
  expireTime: new Date(Date.now() + 60_000),
  contextEquals: { task: "export" },
});

// The same by caveats as text, as any macaroon library writes them (docs/reference/tokens.md lists the forms).
const fromOneNetwork = attenuate(forTheTask, ["cidr = 192.0.2.0/24"]);

console.log(fromOneNetwork);
