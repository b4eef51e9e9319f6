import { type InstrumentSpec, instruments } from "./instruments.ts";

/** The metrics of one name in Prometheus' text (exposition format 0.0.4): its comments, its type, its values by name and labels. */
interface Family {
  readonly head: string[];
  type: string;
  readonly values: Map<string, number>;
}

const comment = /^# (?:HELP|TYPE) (\S+) (.*)$/;
const sample = /^(\S+?(?:\{.*\})?) (\S+)(?: \d+)?$/;

/** Names in Prometheus' text begin with the instrument's; which of several processes counts there. */
const told = Object.entries(instruments as Readonly<Record<string, InstrumentSpec>>).flatMap(([name, { across }]) =>
  across === undefined ? [] : [[name.replaceAll(".", "_"), across] as const],
);

/**
 * Makes one text of the metrics of several processes: counters, distributions and most gauges are added up, of the others
 * the list of instruments says which one counts. Those in `ended` are of processes that are no more: what they counted
 * stays counted, else the sum would fall.
 */
export function sumMetrics(running: readonly string[], ended: readonly string[] = []): string {
  const sum = new Map<string, Family>();
  for (const text of running) for (const [name, family] of familiesOf(text)) add(sum, name, family);
  for (const text of ended) {
    for (const [name, family] of familiesOf(text)) {
      if (family.type === "counter" || family.type === "histogram") add(sum, name, family);
    }
  }
  const lines = [...sum.values()].flatMap(({ head, values }) => [
    ...head,
    ...[...values].map(([key, value]) => `${key} ${textOf(value)}`),
  ]);
  return `${lines.join("\n")}\n`;
}

function familiesOf(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  let family: Family | undefined;
  let current = "";
  for (const line of text.split("\n")) {
    const [, named, rest = ""] = comment.exec(line) ?? [];
    if (named !== undefined) {
      if (named !== current) {
        family = { head: [], type: "untyped", values: new Map() };
        families.set(named, family);
        current = named;
      }
      family?.head.push(line);
      if (family && line.startsWith("# TYPE")) family.type = rest;
      continue;
    }
    const [, key, value] = sample.exec(line) ?? [];
    if (key !== undefined) family?.values.set(key, Number(String(value).replace("Inf", "Infinity")));
  }
  return families;
}

function add(sum: Map<string, Family>, name: string, { head, type, values }: Family): void {
  const known = sum.get(name);
  if (known === undefined) {
    sum.set(name, { head, type, values: new Map(values) });
    return;
  }
  const across = told.find(([prefix]) => name.startsWith(prefix))?.[1];
  for (const [key, value] of values) {
    const before = known.values.get(key);
    known.values.set(key, before === undefined ? value : joined(before, value, across));
  }
}

function joined(a: number, b: number, across: InstrumentSpec["across"]): number {
  if (across === undefined) return a + b;
  return across === "least" ? Math.min(a, b) : Math.max(a, b);
}

function textOf(value: number): string {
  return Number.isFinite(value) || Number.isNaN(value) ? String(value) : value > 0 ? "+Inf" : "-Inf";
}
