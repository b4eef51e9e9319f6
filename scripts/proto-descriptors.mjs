import { execFileSync } from "node:child_process";
import { join } from "node:path";

// Numbers of fields in descriptor.proto, which source locations are paths of.
const inFile = { messages: 4, enums: 5, services: 6 };
const inMessage = { fields: 2 };
const inEnum = { values: 2 };
const inService = { methods: 2 };

/**
 * Gives services, messages and enums of each file of proto/ichor, in the order of the files' names, each with its
 * comment. Types are full names without the leading dot; maps are told as such.
 */
export function fileDescriptors(root) {
  const buf = join(root, "node_modules/.bin/buf");
  const args = ["build", "--path", "proto/ichor", "--exclude-imports", "-o", "-#format=json"];
  const text = execFileSync(buf, args, { cwd: root, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
  const { file } = JSON.parse(text);
  return [...file].sort((a, b) => (a.name < b.name ? -1 : 1)).map(describeFile);
}

function describeFile({ messageType = [], enumType = [], service = [], sourceCodeInfo }) {
  const comments = new Map(
    sourceCodeInfo.location.map(({ path = [], leadingComments = "" }) => [path.join("."), leadingComments]),
  );
  const commentAt = (...path) => comments.get(path.join(".")) ?? "";
  return {
    messages: messageType.map((message, m) => ({
      name: message.name,
      comment: commentAt(inFile.messages, m),
      fields: (message.field ?? []).map((field, f) => ({
        ...describeField(field, message),
        comment: commentAt(inFile.messages, m, inMessage.fields, f),
      })),
    })),
    enums: enumType.map((each, e) => ({
      name: each.name,
      comment: commentAt(inFile.enums, e),
      values: each.value.map(({ name }, v) => ({ name, comment: commentAt(inFile.enums, e, inEnum.values, v) })),
    })),
    services: service.map((each, s) => ({
      name: each.name,
      comment: commentAt(inFile.services, s),
      methods: each.method.map((method, m) => ({
        name: method.name,
        input: unrooted(method.inputType),
        output: `${method.serverStreaming ? "stream of " : ""}${unrooted(method.outputType)}`,
        comment: commentAt(inFile.services, s, inService.methods, m),
      })),
    })),
  };
}

function describeField(field, { nestedType = [], oneofDecl = [] }) {
  const name = field.name;
  const entry = nestedType.find((nested) => nested.options?.mapEntry && field.typeName?.endsWith(`.${nested.name}`));
  if (entry !== undefined) return { name, type: typeOf(entry.field[1]), label: "map" };
  const type = typeOf(field);
  if (field.label === "LABEL_REPEATED") return { name, type, label: "list of " };
  if (field.proto3Optional) return { name, type, label: "optional " };
  return { name, type, label: "", oneof: oneofDecl[field.oneofIndex]?.name };
}

function typeOf({ type, typeName }) {
  return typeName === undefined ? type.replace("TYPE_", "").toLowerCase() : unrooted(typeName);
}

function unrooted(name) {
  return name.replace(/^\./, "");
}
