import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import { type Timestamp, timestampDate } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import type { CliIo } from "./io.ts";

export type Print = <D extends DescMessage>(schema: D, message: MessageShape<D>, lines: readonly string[]) => void;

/** Prints an answer: as protobuf JSON with `--json`, else as the given lines. */
export function printer(program: Command, io: CliIo): Print {
  return (schema, message, lines) => {
    const json = program.opts().json === true;
    const text = json ? JSON.stringify(toJson(schema, message)) : lines.map(onOneLine).join("\n");
    io.stdout.write(`${text}\n`);
  };
}

/**
 * Text of elsewhere as one line for a terminal: control characters, which move its cursor or change its colours, and
 * those that break lines or turn the direction of writing become `\ufffd`.
 */
export function onOneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu, "\ufffd");
}

/** A time as ISO 8601, `-` if it isn't set. */
export function timeText(time: Timestamp | undefined): string {
  return time === undefined ? "-" : timestampDate(time).toISOString();
}

/** Rows in columns that are as wide as their widest value, under a header if there is one. */
export function table(header: readonly string[] | undefined, rows: readonly (readonly string[])[]): readonly string[] {
  const all = header === undefined ? rows : [header, ...rows];
  const widths = (all[0] ?? []).map((_, i) => Math.max(...all.map((row) => row[i]?.length ?? 0)));
  return all.map((row) =>
    row
      .map((value, i) => value.padEnd(widths[i] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
