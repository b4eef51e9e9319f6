import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { env, execPath, stdout } from "node:process";
import { fileURLToPath } from "node:url";
import { ensureInstalled } from "./ensure-installed.mjs";

// The gate: every check, also after one has failed, then all tests. Ends with what failed, which suites did not run and
// the line `N passed, N failed`: tests, and a failed check counts as one failed test.

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const checks = [
  { name: "format and lint", command: ["biome", "check", "--error-on-warnings", "--diagnostic-level=warn", "."] },
  { name: "types", command: ["tsc", "--noEmit"] },
  { name: "proto lint", command: ["buf", "lint"] },
  { name: "proto format", command: ["buf", "format", "--diff", "--exit-code"] },
  { name: "proto compatibility", command: ["buf", "breaking", "--against", "proto/baseline.binpb"] },
  { name: "generated files are fresh", command: [execPath, "scripts/generate.mjs", "--check"] },
];

async function main() {
  await ensureInstalled();
  const reports = mkdtempSync(join(tmpdir(), "ichor-check-"));
  try {
    const outcomes = checks.map(runCheck);
    const tests = runTests(reports);
    report([...outcomes, tests.outcome], tests);
  } finally {
    rmSync(reports, { recursive: true, force: true });
  }
}

function runCheck({ name, command }) {
  const outcome = timed(name, command, "pipe");
  if (!outcome.passed) stdout.write(outcome.output);
  return outcome;
}

/** Runs `command` with the tools of node_modules first in the path. */
function timed(name, [program, ...args], output, extraEnv = {}) {
  stdout.write(`— ${name}\n`);
  const startMs = Date.now();
  const { status, error, ...result } = spawnSync(program, args, {
    cwd: root,
    encoding: "utf8",
    env: { ...env, ...extraEnv, PATH: `${join(root, "node_modules", ".bin")}${delimiter}${env.PATH}` },
    maxBuffer: 64 * 1024 * 1024,
    stdio: ["ignore", output, output],
  });
  const seconds = ((Date.now() - startMs) / 1000).toFixed(1);
  const passed = status === 0;
  stdout.write(`  ${passed ? "ok" : "FAILED"} (${seconds} s)\n`);
  return { name, passed, seconds, output: error ? `${error.message}\n` : `${result.stdout}${result.stderr}` };
}

function runTests(reports) {
  const resultsPath = join(reports, "tests.json");
  const notRunPath = join(reports, "not-run.jsonl");
  const outcome = timed(
    "tests",
    ["vitest", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${resultsPath}`],
    "inherit",
    { ICHOR_TEST_NOT_RUN_FILE: notRunPath },
  );
  const notRun = existsSync(notRunPath) ? readFileSync(notRunPath, "utf8").trim().split("\n").map(JSON.parse) : [];
  const { passed, failures } = count(resultsPath, outcome.passed, notRun.length);
  return { outcome: { ...outcome, passed: failures.length === 0 }, notRun, passed, failures };
}

/** Counts tests. Whatever keeps the run from being complete counts as failed: zero failures must mean that all ran. */
function count(resultsPath, runPassed, expectedSkips) {
  if (!existsSync(resultsPath)) return { passed: 0, failures: ["tests: there is no report of the run"] };
  const results = JSON.parse(readFileSync(resultsPath, "utf8"));
  const failures = results.testResults.flatMap(failuresOfFile);
  const skipped = results.numPendingTests + results.numTodoTests;
  if (results.numPassedTests + results.numFailedTests === 0) failures.push("tests: none was executed");
  if (skipped !== expectedSkips)
    failures.push(`tests: ${skipped} skipped, ${expectedSkips} of them for want of a server`);
  if (!runPassed && failures.length === 0) failures.push("tests: the run failed outside of a test");
  return { passed: results.numPassedTests, failures };
}

function failuresOfFile({ name, status, message, assertionResults }) {
  const file = name.slice(root.length + 1);
  const failed = assertionResults.filter((test) => test.status === "failed");
  if (failed.length > 0) return failed.map((test) => `${file}: ${test.fullName}`);
  return status === "failed" ? [`${file}: ${message.split("\n")[0] || "does not load"}`] : [];
}

function report(outcomes, { passed, failures, notRun }) {
  stdout.write("\n");
  for (const outcome of outcomes) {
    stdout.write(`${outcome.passed ? "ok    " : "FAILED"} ${outcome.name} (${outcome.seconds} s)\n`);
  }
  const failedChecks = outcomes.filter((outcome) => !outcome.passed && outcome.name !== "tests");
  for (const failure of failures) stdout.write(`FAILED ${failure}\n`);
  for (const line of notRunLines(notRun)) stdout.write(`${line}\n`);
  const failed = failedChecks.length + failures.length;
  stdout.write(`${passed} passed, ${failed} failed\n`);
  process.exitCode = failed === 0 ? 0 : 1;
}

function notRunLines(notRun) {
  const titles = new Map();
  for (const { name, hint, title } of notRun) {
    const key = `NOT RUN: ${name} (${hint})`;
    titles.set(key, [...(titles.get(key) ?? []), title]);
  }
  return [...titles].map(([key, suites]) => `${key}: ${suites.join("; ")}`);
}

try {
  await main();
} catch (error) {
  stdout.write(`FAILED ${error.message}\n0 passed, 1 failed\n`);
  process.exitCode = 1;
}
