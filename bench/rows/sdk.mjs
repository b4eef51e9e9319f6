import { join } from "node:path";
import { apiOf } from "../lib/api.mjs";
import { figure, ratioFigure } from "../lib/report.mjs";
import { startTarget } from "../lib/target.mjs";

const audience = "https://api.example";
const tokens = 64;
const entries = 1_000_000;
const constraints = { contextEquals: { region: "eu" } };
const runMs = 400;
const follows = 3;

/** What is measured, what it is compared with, and how much of that's speed it must have. */
const comparisons = [
  ["jwt, first sight", "jose", 0.65],
  // What verifies by the JWKS alone: claims too, but no revocation.
  ["jwt, first sight", "jose, remote JWKS", undefined],
  ["token seen before", "sha-256 and map", 0.4],
  ["macaroon, 5 caveats", "createHmac chain", 1],
  ["macaroon, 5 caveats", "npm macaroon", 5],
];
/** At most this much of the time. */
const checks = [
  ["revocation check", "sha-256 of a token", 0.15],
  ["revocation check, ids as text", "sha-256 of a token", undefined],
];

/** The verifier beside what it can't do without, and with a million revocations. */
export const sdk = {
  title: "@ichor/verifier",
  peers: ["macaroon"],
  async measure({ rounds, folder, say }) {
    const started = [];
    const start = async (target) => {
      started.push(await startTarget(target, {}, join(folder, target.name)));
      return started.at(-1);
    };
    try {
      const server = await start({ name: "server", target: "ichor" });
      const options = await optionsOf(server.facts);
      const verifier = await start({ name: "sdk", target: "sdk", execArgv: ["--expose-gc"], options: () => options });
      const figures = speedFigures(await alternate(verifier, rounds, say));
      await server.stop();
      const large = await start({ name: "large", target: "ichor", options: () => ({ marks: entries }) });
      return [...figures, ...(await followFigures(large, verifier, say))];
    } finally {
      await Promise.all(started.map(({ stop }) => stop()));
    }
  },
};

async function optionsOf(facts) {
  const call = apiOf(facts);
  const watching = await watcherOf(facts);
  const { credential } = await call("AdminService/IssueApiKey", { name: "k", scopes: ["invoices:*"], ownerId: "acme" });
  const derive = async (format, more) => {
    const request = { format, audiences: [audience], scopes: ["invoices:read"], ttl: "3600s", ...more };
    return (await call("DerivationService/DeriveToken", request, credential)).token;
  };
  const jwts = [];
  const macaroons = [];
  for (let i = 0; i < tokens; i++) {
    jwts.push(await derive("TOKEN_FORMAT_JWT"));
    macaroons.push(await derive("TOKEN_FORMAT_MACAROON", { constraints }));
  }
  const { audienceKeys } = await call("DerivationService/GetKeySet", { audiences: [audience] });
  const jwks = await (await fetch(`http://127.0.0.1:${facts.port}/.well-known/jwks.json`)).json();
  return { ...watching, jwts, macaroons, jwks: jwks.keys, rootKey: audienceKeys[0].key };
}

async function watcherOf(facts) {
  const scopes = ["ichor:keyset:watch", `ichor:verify:aud:${audience}`];
  const { credential } = await apiOf(facts)("AdminService/IssueApiKey", { name: "service", scopes });
  return { url: `http://127.0.0.1:${facts.port}`, credential, audience };
}

/** The CPU of every contender each round, in µs; the order turns. */
async function alternate(verifier, rounds, say) {
  const names = [...new Set([...comparisons, ...checks].flatMap((pair) => pair.slice(0, 2)))];
  for (const name of names) await verifier.ask("run", { name, durationMs: runMs });
  const samples = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round) % names.length];
      const { micros } = await verifier.ask("run", { name, durationMs: runMs });
      samples[name].push(micros);
      say(`round ${round + 1}/${rounds} ${name}: ${micros.toFixed(2)} µs`);
    }
  }
  return samples;
}

function speedFigures(samples) {
  return [
    ...comparisons.map(([ours, theirs, least]) =>
      ratioFigure(`${ours}: speed`, theirs, samples[theirs], samples[ours], least && { least }),
    ),
    ...checks.map(([ours, theirs, most]) =>
      ratioFigure(`${ours}: time`, theirs, samples[ours], samples[theirs], most && { most }),
    ),
  ];
}

async function followFigures(server, verifier, say) {
  const watching = await watcherOf(server.facts);
  const took = [];
  await server.ask("stall");
  const serverStalls = [];
  for (let i = 0; i < follows; i++) {
    const told = await verifier.ask("follow", watching);
    serverStalls.push(await server.ask("stall"));
    if (told.entries < entries) throw new Error(`only ${told.entries} were told`);
    say(`${told.entries} entries in ${told.tookMs.toFixed(0)} ms, longest stall ${told.stallMs.toFixed(1)} ms`);
    took.push(told);
  }
  const of = (name) => took.map((told) => told[name]);
  const what = "1 M revocations";
  return [
    figure(`${what}: the set`, undefined, "MiB", of("setMiB"), { most: 48 }),
    figure(`${what}: all that memory grew by`, undefined, "MiB", of("grownMiB")),
    figure(`${what}: longest stall of the verifier's event loop in the snapshot`, undefined, "ms", of("stallMs"), {
      most: 20,
    }),
    figure(`${what}: longest stall of the server's`, undefined, "ms", serverStalls, { most: 50 }),
    figure(`${what}: from connecting to ready`, undefined, "ms", of("tookMs")),
  ];
}
