import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { alternate } from "./lib/alternate.mjs";
import { machineFacts } from "./lib/machine.mjs";
import { ensurePeers } from "./lib/peers.mjs";
import { profileSummaries } from "./lib/profile.mjs";
import { markdownOf, summarize, writeFigures } from "./lib/report.mjs";
import { startTargets } from "./lib/target.mjs";
import { rows } from "./rows/index.mjs";

const usage = `usage: npm run bench -- NAME… [--rounds 5] [--seconds 1] [--json FILE] [--markdown FILE] [--profile FOLDER]

NAME is one or more of these, or all:
${Object.entries(rows)
  .map(([name, { title }]) => `  ${name.padEnd(22)} ${title}`)
  .join("\n")}`;

/** `npm --prefix` runs this in its own folder. */
const invokedFrom = process.env.INIT_CWD ?? process.cwd();

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "1" },
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
for (const name of names) {
  try {
    results.push(await measureRow(name, rows[name], options));
  } catch (error) {
    // One that can't be had here, as a database server, must not cost the others.
    process.stderr.write(`${name}: ${error.stack}\n`);
    results.push({ name, title: rows[name].title, failure: error.message.split("\n")[0] });
    process.exitCode = 1;
  }
}
const facts = machineFacts();
const markdown = markdownOf(facts, options, results);
console.log(markdown);
if (values.json) writeFileSync(values.json, `${JSON.stringify({ facts, options, results }, null, 2)}\n`);
if (values.profile) console.log(profileSummaries(values.profile));
if (values.markdown) writeFigures(resolve(invokedFrom, values.markdown), markdown);

async function measureRow(name, row, { rounds, seconds }) {
  ensurePeers(row.peers ?? []);
  const folder = mkdtempSync(join(tmpdir(), "ichor-bench-"));
  const say = (line) => process.stderr.write(`${name}: ${line}\n`);
  try {
    if (row.measure === undefined) return { name, ...(await measureUnderLoad(row, folder, say, { rounds, seconds })) };
    return { name, title: row.title, figures: await row.measure({ rounds, seconds, folder, say }) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measureUnderLoad(row, folder, say, { rounds, seconds }) {
  const shared = await row.prepare?.();
  try {
    const running = await startTargets(row, folder, shared?.envOf);
    try {
      const profileFolder = values.profile && resolve(invokedFrom, values.profile);
      return summarize(row, await alternate(running, { rounds, seconds, say, profileFolder }));
    } finally {
      await Promise.all(running.map(({ stop }) => stop()));
    }
  } finally {
    await shared?.stop();
  }
}

function positive(name) {
  const value = Number(values[name]);
  if (!(value > 0)) throw new Error(`--${name} must be a positive number`);
  return value;
}
