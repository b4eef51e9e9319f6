/**
 * The figures of a row: per contender the medians of its samples, and per comparison the median of the ratios that each
 * round gave. A ratio of 1 is parity, 2 means half the CPU (or twice the rate) of what it is compared with.
 */
export function summarize({ title, command, contenders, compare }, samples) {
  return {
    title,
    command,
    contenders: contenders.map(({ name }) => ({ name, ...medians(samples[name]) })),
    comparisons: compare.map(({ of, to, goal }) => ({
      of,
      to,
      goal,
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

function rowLines({ name, title, contenders, comparisons }) {
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
        `| ${of} | ${to} | ${times(cpu.median)} | ${times(cpu.least)}–${times(cpu.most)} | ${times(rate.median)} | ${goal === undefined ? "" : `≥ ${goal} ×: ${cpu.median >= goal ? "met" : "**missed**"}`} |`,
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

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 === 1 ? sorted[Math.floor(middle)] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function times(value) {
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
