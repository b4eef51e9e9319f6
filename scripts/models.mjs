// Reads prisma/models.prisma, of whose syntax this knows as much as the models use; any other line is an error.
import { readFileSync } from "node:fs";

const fieldTypes = ["String", "BigInt", "Int", "Bytes"];

/** The models of a file, in its order. */
export function readModels(path) {
  return modelsOf(readFileSync(path, "utf8"));
}

export function modelsOf(text) {
  const blocks = [...text.matchAll(/^model (\w+) \{\n([\s\S]*?)\n\}/gm)];
  const tableOf = new Map(blocks.map(([, name, body]) => [name, /@@map\("(\w+)"\)/.exec(body)?.[1] ?? name]));
  return blocks.map(([, name, body]) => modelOf(name, body, tableOf));
}

function modelOf(name, body, tableOf) {
  const lines = body
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("//"));
  const fields = lines.flatMap((line) => fieldOf(line) ?? []);
  const columnOf = (field) => fields.find((one) => one.name === field.trim())?.column ?? field;
  const listOf = (list) => list.split(",").map(columnOf);
  const model = { name, table: tableOf.get(name), fields, primaryKey: [], indexes: [], foreignKeys: [] };
  for (const line of lines) {
    const blockId = /^@@id\(\[(.*?)\]\)$/.exec(line);
    const index = /^@@(unique|index)\(\[(.*?)\], map: "(\w+)"\)$/.exec(line);
    const relation =
      /^\w+\s+(\w+)\s+@relation\(fields: \[(\w+)\], references: \[(\w+)\], onDelete: (\w+), onUpdate: (\w+)\)$/.exec(
        line,
      );
    if (blockId) model.primaryKey = listOf(blockId[1]);
    else if (index) model.indexes.push({ name: index[3], unique: index[1] === "unique", columns: listOf(index[2]) });
    else if (relation) {
      const [, target, from, to, onDelete, onUpdate] = relation;
      model.foreignKeys.push({
        column: columnOf(from),
        table: tableOf.get(target),
        to,
        onDelete: onDelete.toUpperCase(),
        onUpdate: onUpdate.toUpperCase(),
      });
    } else if (fieldOf(line)) {
      if (/@id\b/.test(line)) model.primaryKey = [fieldOf(line).column];
    } else if (!/^@@map\("\w+"\)$/.test(line) && !/^\w+\s+\w+\[\]$/.test(line)) {
      throw new Error(`prisma/models.prisma: not understood in ${name}: ${line}`);
    }
  }
  return model;
}

function fieldOf(line) {
  const [, name, type, optional, rest] = /^(\w+)\s+(\w+)(\?)?((?:\s+@.*)?)$/.exec(line) ?? [];
  if (!fieldTypes.includes(type)) return undefined;
  return { name, type, optional: optional === "?", column: /@map\("(\w+)"\)/.exec(rest)?.[1] ?? name };
}
