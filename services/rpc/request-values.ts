import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";

/** As a member of an ordinary object this name is the object's prototype: protobuf-es loses it without a word. */
const lostName = "__proto__";

/** How deep messages may stand in each other: protobuf-es's own bound, which it applies only while it decodes. */
const depthMax = 100;

const comma = 0x2c;
const openBracket = 0x5b;
const openBrace = 0x7b;

/** Whether a JSON text has more than `valuesMax` values, by what separates them; commas in strings count too. */
export function hasMoreJsonValues(bytes: Uint8Array, valuesMax: number): boolean {
  let values = 0;
  for (const byte of bytes) {
    if (byte !== comma && byte !== openBracket && byte !== openBrace) continue;
    if (++values > valuesMax) return true;
  }
  return false;
}

/** Whether a binary message, with those within, has more than `valuesMax` values. Throws if it is malformed. */
export function hasMoreBinaryValues(desc: DescMessage, bytes: Uint8Array, valuesMax: number): boolean {
  let values = 0;
  for (const _ of binaryValues(desc, new BinaryReader(bytes), bytes.length, "")) if (++values > valuesMax) return true;
  return false;
}

/** Paths of the map entries that a decoder of JSON would lose, as `labels["__proto__"]`. The text must be valid. */
export function lostInJson(desc: DescMessage, bytes: Uint8Array): readonly string[] {
  const text = asBuffer(bytes);
  // An escape can hide the name from a search, not from the parser.
  if (!text.includes(lostName) && !text.includes("\\u00")) return [];
  return [...lostInJsonValue(desc, JSON.parse(text.toString("utf8")), "")];
}

/** Paths of the map entries that a decoder of the binary form would lose. The message must be valid. */
export function lostInBinary(desc: DescMessage, bytes: Uint8Array): readonly string[] {
  if (!asBuffer(bytes).includes(lostName)) return [];
  const values = binaryValues(desc, new BinaryReader(bytes), bytes.length, "");
  return [...values].filter(({ lost }) => lost).map(({ path }) => path);
}

function* lostInJsonValue(desc: DescMessage, value: unknown, path: string): Generator<string> {
  if (typeof value !== "object" || value === null) return;
  if (isFreeJson(desc)) return yield* lostInFreeJson(value, path);
  for (const [name, member] of Object.entries(value)) {
    const field = desc.fields.find(({ jsonName, name: protoName }) => name === jsonName || name === protoName);
    if (field === undefined) continue;
    const at = pathOf(path, field);
    if (field.fieldKind === "map") yield* lostInFreeJson(member, at);
    else if (field.fieldKind === "message") yield* lostInJsonValue(field.message, member, at);
    else if (field.fieldKind === "list" && field.listKind === "message" && Array.isArray(member))
      for (const [i, item] of member.entries()) yield* lostInJsonValue(field.message, item, `${at}[${i}]`);
  }
}

function* lostInFreeJson(value: unknown, path: string): Generator<string> {
  if (typeof value !== "object" || value === null) return;
  for (const [name, member] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${path}[${name}]` : entryPath(path, name);
    if (name === lostName) yield at;
    yield* lostInFreeJson(member, at);
  }
}

/** A field's value, or a map's entry, as it stands in a binary message. */
interface BinaryValue {
  readonly path: string;
  readonly lost: boolean;
}

/** Every value of a message and of those within, up to the position `end`, before those that it holds. */
function* binaryValues(
  desc: DescMessage,
  reader: BinaryReader,
  end: number,
  path: string,
  depth = 0,
): Generator<BinaryValue> {
  if (depth > depthMax) throw new RangeError("messages stand too deep in each other");
  const indexes = new Map<number, number>();
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = desc.fields.find((candidate) => candidate.number === number);
    const index = indexes.get(number) ?? 0;
    indexes.set(number, index + 1);
    if (wireType !== WireType.LengthDelimited || field === undefined || !holdsMore(field)) {
      yield { path, lost: false };
      reader.skip(wireType, number);
      continue;
    }
    const valueEnd = reader.uint32() + reader.pos;
    const at = pathOf(path, field);
    if (field.fieldKind === "map") {
      yield* mapEntry(field, reader, valueEnd, at, depth + 1);
      continue;
    }
    const itemPath = field.fieldKind === "list" ? `${at}[${index}]` : at;
    yield { path: itemPath, lost: false };
    yield* binaryValues(field.message as DescMessage, reader, valueEnd, itemPath, depth + 1);
  }
}

function* mapEntry(
  field: DescField & { fieldKind: "map" },
  reader: BinaryReader,
  end: number,
  path: string,
  depth: number,
): Generator<BinaryValue> {
  let name = "";
  let valueAt: { readonly start: number; readonly end: number } | undefined;
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    if (number === 1 && wireType === WireType.LengthDelimited) {
      name = reader.string();
      continue;
    }
    const start = reader.pos;
    reader.skip(wireType, number);
    if (number === 2 && field.mapKind === "message") valueAt = { start, end: reader.pos };
  }
  const at = entryPath(path, name);
  yield { path: at, lost: name === lostName };
  if (valueAt === undefined || field.mapKind !== "message") return;
  const after = reader.pos;
  reader.pos = valueAt.start;
  yield* binaryValues(field.message, reader, reader.uint32() + reader.pos, at, depth);
  reader.pos = after;
}

function holdsMore(field: DescField): boolean {
  return field.fieldKind === "map" || field.fieldKind === "message" || isMessageList(field);
}

function isMessageList(field: DescField): boolean {
  return field.fieldKind === "list" && field.listKind === "message";
}

/** google.protobuf.Struct, Value and ListValue, which are JSON as it is: their fields have no names there. */
function isFreeJson({ typeName }: DescMessage): boolean {
  return /^google\.protobuf\.(Struct|Value|ListValue)$/.test(typeName);
}

function pathOf(path: string, { name, parent }: DescField): string {
  if (isFreeJson(parent)) return path;
  return path === "" ? name : `${path}.${name}`;
}

function entryPath(path: string, name: string): string {
  return `${path}[${JSON.stringify(name.slice(0, 64))}]`;
}

function asBuffer({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
