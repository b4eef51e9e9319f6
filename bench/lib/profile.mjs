import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const shown = 25;

/** Where the CPU profile of a contender is written to. */
export function profilePath(folder, contender) {
  mkdirSync(folder, { recursive: true });
  return join(folder, `${contender.replaceAll(/[^a-z0-9]+/gi, "-")}.cpuprofile`);
}

/** Where the time of each profile in a folder went: by module, then by function; self time, in percent of the time that wasn't idle. */
export function profileSummaries(folder) {
  const files = readdirSync(folder).filter((name) => name.endsWith(".cpuprofile"));
  return files.map((name) => `${name}\n${summaryOf(JSON.parse(readFileSync(join(folder, name), "utf8")))}`).join("\n");
}

function summaryOf({ nodes, samples, timeDeltas }) {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const modules = new Map();
  const functions = new Map();
  let total = 0;
  samples.forEach((id, i) => {
    const { functionName, url, lineNumber } = byId.get(id).callFrame;
    if (functionName === "(idle)") return;
    const micros = timeDeltas[i];
    total += micros;
    const module = moduleOf(url, functionName);
    add(modules, module, micros);
    add(functions, `${functionName || "(anonymous)"} ${module}${lineNumber >= 0 ? `:${lineNumber + 1}` : ""}`, micros);
  });
  return [...top(modules, total), "", ...top(functions, total)].join("\n");
}

function moduleOf(url, functionName) {
  if (url === "") return functionName.startsWith("(") ? functionName : "native";
  const path = url.replace(/^file:\/\//, "");
  const kept = /(node_modules\/(?:@[^/]+\/)?[^/]+|dist\/.*|bench\/.*)/.exec(path);
  return kept ? kept[1] : path;
}

function add(map, key, micros) {
  map.set(key, (map.get(key) ?? 0) + micros);
}

function top(map, total) {
  return [...map]
    .sort(([, a], [, b]) => b - a)
    .slice(0, shown)
    .map(([key, micros]) => `  ${((100 * micros) / total).toFixed(1).padStart(5)} %  ${key}`);
}
