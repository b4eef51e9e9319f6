import { instruments } from "../../services/telemetry/instruments.ts";

const labels = new Set(
  Object.values(instruments).flatMap(({ attributes }) => attributes.map((name: string) => name.replaceAll(".", "_"))),
);

/** Metrics that a text of PromQL or of rules names: none but those of the prefixes that Ichor's have. */
export function metricsIn(text: string): string[] {
  const names = text.match(/\b(?:ichor|rpc|db|process|nodejs|v8js)_[a-z0-9_]+(?=[\s{[)\]]|$)/gm) ?? [];
  return [...new Set(names)].filter((name) => !labels.has(name));
}

/** Metrics that a text of Prometheus has. */
export function metricsTold(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/^([a-z0-9_]+)(?:\{.*\})? \S+$/gm)].map(([, name = ""]) => name));
}

/** Instruments of the list that a text of Prometheus doesn't have, as it writes them. */
export function instrumentsMissing(text: string): string[] {
  const told = [...metricsTold(text)];
  const names = Object.keys(instruments).map((name) => name.replaceAll(".", "_"));
  return names.filter((name) => !told.some((each) => each.startsWith(name)));
}

/** Whether a metric is the side-car's, which the server doesn't have. */
export function isOfSidecar(metric: string): boolean {
  return /^ichor_(upstream|key_set|gateway)_/.test(metric);
}
