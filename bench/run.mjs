import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { alternate } from "./lib/alternate.mjs";
import { machineFacts } from "./lib/machine.mjs";
import { ensurePeers } from "./lib/peers.mjs";
import { profileSummaries } from "./lib/profile.mjs";
import { markdownOf, summarize } from "./lib/report.mjs";
import { startTargets } from "./lib/target.mjs";
import { rows } from "./rows/index.mjs";

const usage = `usage: npm run bench -- NAME… [--rounds 5] [--seconds 2] [--json FILE] [--markdown FILE] [--profile FOLDER]

NAME is one or more of these, or all:
${Object.entries(rows)
  .map(([name, { title }]) => `  ${name.padEnd(22)} ${title}`)
  .join("\n")}`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "2" },
    json: { type: "string" },
    markdown: { type: "string" },
    profile: { type: "string" },
    help: { type: "boolean", default: false },
  },
});
const names = positionals.includes("all") ? Object.keys(rows) : positionals;
const unknown = names.filter((name) => rows[name] === undefined);
if (values.help || names.length === 0 || unknown.length > 0) {
  console.log(unknown.length > 0 ? `no such row: ${unknown.join(", ")}\n\n${usage}` : usage);
  process.exit(values.help ? 0 : 2);
}

const options = { rounds: positive("rounds"), seconds: positive("seconds") };
const results = [];
for (const name of names) results.push(await measureRow(name, rows[name], options));
const facts = machineFacts();
const markdown = markdownOf(facts, options, results);
console.log(markdown);
if (values.json) writeFileSync(values.json, `${JSON.stringify({ facts, options, results }, null, 2)}\n`);
if (values.profile) console.log(profileSummaries(values.profile));
if (values.markdown) writeFileSync(values.markdown, markdown);

async function measureRow(name, row, { rounds, seconds }) {
  ensurePeers(row.peers ?? []);
  const folder = mkdtempSync(join(tmpdir(), "ichor-bench-"));
  if (row.measure !== undefined) {
    try {
      return { name, title: row.title, figures: await row.measure({ rounds, seconds, folder, say }) };
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  const running = await startTargets(row, folder);
  try {
    const samples = await alternate(running, {
      rounds,
      seconds,
      say,
      profileFolder: values.profile && resolve(values.profile),
    });
    return { name, ...summarize(row, samples) };
  } finally {
    await Promise.all(running.map(({ stop }) => stop()));
    rmSync(folder, { recursive: true, force: true });
  }

  function say(line) {
    process.stderr.write(`${name}: ${line}\n`);
  }
}

function positive(name) {
  const value = Number(values[name]);
  if (!(value > 0)) throw new Error(`--${name} must be a positive number`);
  return value;
}
