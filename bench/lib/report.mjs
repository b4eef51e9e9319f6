import { existsSync, readFileSync, writeFileSync } from "node:fs";

/**
 * The figures of a row: per contender the medians of its samples, and per comparison the median of the ratios that each
 * round gave. A ratio of 1 is parity, 2 means half the CPU (or twice the rate) of what it is compared with.
 */
export function summarize({ title, command, contenders, compare }, samples) {
  return {
    title,
    command,
    contenders: contenders.map(({ name }) => ({ name, ...medians(samples[name]) })),
    comparisons: compare.map(({ of, to, goal, most }) => ({
      of,
      to,
      goal: goal === undefined ? most && { least: 1 / most } : { least: goal },
      cpu: ratio(samples[to], samples[of], "cpuMicros"),
      rate: ratio(samples[of], samples[to], "rate"),
    })),
  };
}

export function markdownOf(facts, { rounds, seconds }, results) {
  const machine = Object.entries(facts).map(([name, value]) => `- ${name}: ${value}`);
  const about = [`- ${rounds} alternating rounds of ${seconds} s each, medians of the rounds' ratios`];
  return `${["## Machine", "", ...machine, ...about, "", ...results.flatMap(rowLines)].join("\n")}\n`;
}

/**
 * A figure of a row that measures in a way of its own. `samples`: one a round. `goal`: `{ most }` or `{ least }`.
 */
export function figure(what, than, unit, samples, goal) {
  return { what, than, unit, median: median(samples), least: Math.min(...samples), most: Math.max(...samples), goal };
}

/** A figure that is the ratio of two measures, round by round. */
export function ratioFigure(what, than, ours, theirs, goal) {
  return figure(
    what,
    than,
    "×",
    ours.map((value, round) => value / theirs[round]),
    goal,
  );
}

function figureLines({ name, title, figures }) {
  return [
    `## ${title}`,
    "",
    `\`npm run bench -- ${name}\``,
    "",
    "| what | compared with | figure | (range) | goal |",
    "| --- | --- | --- | --- | --- |",
    ...figures.map(
      ({ what, than, unit, median: figure, least, most, goal }) =>
        `| ${what} | ${than ?? ""} | ${number(figure)} ${unit} | ${number(least)}–${number(most)} | ${goalText(figure, unit, goal)} |`,
    ),
    "",
  ];
}

function goalText(value, unit, goal) {
  if (goal === undefined) return "";
  const [sign, bound, met] =
    goal.most === undefined ? ["≥", goal.least, value >= goal.least] : ["≤", goal.most, value <= goal.most];
  return `${sign} ${Math.round(bound * 100) / 100} ${unit}: ${met ? "met" : "**missed**"}`;
}

function number(value) {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(value < 0.1 ? 3 : 2);
}

const begin = "<!-- figures -->";
const end = "<!-- end of figures -->";

/** Writes the figures into a file: between its two marks, so that what people wrote around them stays, or as the whole of it. */
export function writeFigures(path, markdown) {
  const before = existsSync(path) ? readFileSync(path, "utf8") : `${begin}\n${end}\n`;
  const [head, ...rest] = before.split(begin);
  const tail = rest.join(begin).split(end)[1];
  if (tail === undefined) throw new Error(`${path} has no marks ${begin} and ${end}`);
  writeFileSync(path, `${head}${begin}\n\n${markdown}\n${end}${tail}`);
}

function rowLines(row) {
  if (row.failure !== undefined)
    return [`## ${row.title}`, "", `\`npm run bench -- ${row.name}\``, "", `Not measured: ${row.failure}`, ""];
  return row.figures === undefined ? comparisonLines(row) : figureLines(row);
}

function comparisonLines({ name, title, contenders, comparisons }) {
  const [base] = contenders;
  return [
    `## ${title}`,
    "",
    `\`npm run bench -- ${name}\``,
    "",
    "| | compared with | CPU ratio | (range) | rate ratio | goal |",
    "| --- | --- | --- | --- | --- | --- |",
    ...comparisons.map(
      ({ of, to, cpu, rate, goal }) =>
        `| ${of} | ${to} | ${times(cpu.median)} | ${times(cpu.least)}–${times(cpu.most)} | ${times(rate.median)} | ${goalText(cpu.median, "×", goal)} |`,
    ),
    "",
    `| | CPU per request, ${base.name} = 1 | p50, same | p99, same |`,
    "| --- | --- | --- | --- |",
    ...contenders.map(
      (one) =>
        `| ${one.name} | ${(one.cpuMicros / base.cpuMicros).toFixed(2)} | ${(one.p50Ms / base.p50Ms).toFixed(2)} | ${(one.p99Ms / base.p99Ms).toFixed(2)} |`,
    ),
    "",
  ];
}

function ratio(numerators, denominators, measure) {
  const ratios = numerators.map((sample, round) => sample[measure] / denominators[round][measure]);
  return { median: median(ratios), least: Math.min(...ratios), most: Math.max(...ratios) };
}

function medians(samples) {
  const of = (measure) => median(samples.map((sample) => sample[measure]));
  return { cpuMicros: of("cpuMicros"), rate: of("rate"), p50Ms: of("p50Ms"), p99Ms: of("p99Ms") };
}

/** The middle value. */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function times(value) {
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
