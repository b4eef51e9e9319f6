// Makes docs/reference/: api.md from the comments of proto/ichor, configuration.md and the schemas of configuration files
// from services/config. Called by generate.mjs.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { fileDescriptors } from "./proto-descriptors.mjs";

/** Writes the reference pages of the repository at `root` to the folder `target`. */
export async function generateDocs(root, target) {
  mkdirSync(target, { recursive: true });
  writeFileSync(join(target, "api.md"), apiPage(fileDescriptors(root)));
  const settings = await readSettings(root);
  writeFileSync(join(target, "configuration.md"), configurationPage(settings));
  const schemas = [
    ["config.schema.json", "Ichor's configuration file", settings.serverSettings],
    ["sidecar.schema.json", "Configuration file of Ichor's side-car", settings.sidecarSettings],
  ];
  for (const [name, ...schema] of schemas) {
    writeFileSync(join(target, name), `${JSON.stringify(settings.configSchema(...schema), undefined, 2)}\n`);
  }
}

/** Modules of services/config that say what settings there are. */
const modules = ["setting", "settings", "sidecar-settings", "json-schema"];

/** What services/config says of settings: compiled alone, so that nothing else of services/ has to compile. */
async function readSettings(root) {
  const out = mkdtempSync(join(root, ".build-config-"));
  try {
    const tsc = join(root, "node_modules/.bin/tsc");
    const flags = ["--ignoreConfig", "--target", "es2022", "--module", "nodenext", "--types", "node", "--skipLibCheck"];
    execFileSync(
      tsc,
      [
        ...flags,
        "--rewriteRelativeImportExtensions",
        "--rootDir",
        "services",
        "--outDir",
        out,
        ...modules.map((name) => `services/config/${name}.ts`),
      ],
      { cwd: root, stdio: ["ignore", 2, 2] },
    );
    const load = (name) => import(pathToFileURL(join(out, "config", `${name}.js`)).href);
    return Object.assign({}, ...(await Promise.all(modules.map(load))));
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function configurationPage({
  serverSettings,
  clientSettings,
  sidecarSettings,
  variableOf,
  configFileVariable,
  profileVariable,
}) {
  return `${generatedFrom("the tables of services/config")}
# Configuration

Every setting has one name, and can stand in the environment or in a YAML file; the environment rules. The file is the one
that \`--config\` or \`${configFileVariable}\` names; [config.schema.json](config.schema.json) describes the server's,
[sidecar.schema.json](sidecar.schema.json) the side-car's.
An empty variable counts as not set. A name that isn't listed here stops the start, and so does a value that is none; all
faults are listed at once. What a reload (SIGHUP) puts into effect is marked; the rest needs a restart.

## \`ichor serve\`, and commands that open the store

${settingsTable(serverSettings, variableOf)}

## \`ichor sidecar\`

A setting is also a flag, which rules over both: \`maxStaleness\` is \`--max-staleness\`.

${settingsTable(sidecarSettings, variableOf)}

## Client commands (\`ichor keys …\`)

In the environment or in a profile, a YAML file; the environment rules. \`--profile\` or \`${profileVariable}\` names it: a path,
or \`NAME\` for \`~/.config/ichor/NAME.yaml\`. A profile has no \`credential\`: it names the file.

${settingsTable(clientSettings, variableOf)}
`;
}

function settingsTable(settings, variableOf) {
  const rows = Object.entries(settings).map(([name, { variable, fallback, description, reload }]) => [
    `\`${name}\``,
    `\`${variableOf(name, { variable })}\``,
    /^[\w.:/-]+$/.test(fallback) && fallback !== "none" ? `\`${fallback}\`` : fallback,
    reload ? `${description} **Reload.**` : description,
  ]);
  return table(["in the file", "variable", "default", "meaning"], rows);
}

function apiPage(files) {
  const all = (kind) => files.flatMap((file) => file[kind]);
  const reasons = all("enums").find(({ name }) => name === "ErrorReason");
  const enums = all("enums").filter((each) => each !== reasons);
  return `${generatedFrom("proto/ichor/v1")}
# API reference

Package \`ichor.v1\`. A method is called by gRPC, gRPC-Web or Connect at the path \`/ichor.v1.<service>/<method>\`. In
protobuf JSON, names are lowerCamelCase, 64-bit numbers are strings, spans are text as \`"300s"\`, times are RFC 3339.

${all("services").map(serviceSection).join("\n")}
## Messages

${all("messages").map(messageSection).join("\n")}
## Enums

${enums.map(enumSection).join("\n")}
## Reasons of failed calls

${plain(reasons.comment)}

${table(["reason", "meaning"], valuesOf(reasons))}
`;
}

function serviceSection({ name, comment, methods }) {
  return `## ${name}

${plain(comment)}

${methods.map(methodSection).join("\n")}`;
}

function methodSection({ name, comment, input, output }) {
  return `### ${name}

\`${name}(\`${typeLink(input)}\`) → \`${typeLink(output)}

${asList(comment)}
`;
}

/** The labelled lines of a method's comment (Success: …) as a list, what comes before as text. */
function asList(comment) {
  return lines(comment)
    .map((line) => line.replace(/^(Success|Idempotency|Reasons|Callers): /, "- **$1:** "))
    .join("\n")
    .replace(/\n- /, "\n\n- ");
}

function messageSection({ name, comment, fields }) {
  const rows = fields.map((field) => [`\`${field.name}\``, fieldType(field), plain(field.comment)]);
  const shown = rows.length === 0 ? "No fields." : table(["field", "type", "meaning"], rows);
  return `### ${name}

${plain(comment)}

${shown}
`;
}

function fieldType({ type, label, oneof }) {
  return `${label === "map" ? `map of string to ${typeLink(type)}` : `${label}${typeLink(type)}`}${oneof ? `, one of \`${oneof}\`` : ""}`;
}

/** Types of this package link to their section; others are told as they are. */
function typeLink(type) {
  const own = /^ichor\.v1\.(\w+)$/.exec(type)?.[1];
  return own ? `[${own}](#${own.toLowerCase()})` : type.replace(/^google\.protobuf\./, "");
}

function enumSection(each) {
  return `### ${each.name}

${plain(each.comment)}

${table(["value", "meaning"], valuesOf(each))}
`;
}

function valuesOf({ name, values }) {
  const prefix = name === "ErrorReason" ? "ERROR_REASON_" : "";
  return values.map((value) => [`\`${value.name.replace(prefix, "")}\``, plain(value.comment)]);
}

function table(head, rows) {
  const line = (cells) => `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

function plain(comment) {
  return lines(comment).join(" ");
}

function lines(comment) {
  return comment
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
}

function generatedFrom(source) {
  return `<!-- Generated from ${source} by scripts/generate.mjs. Edit that, and run npm run generate. -->\n`;
}
