import { appendFileSync, statSync } from "node:fs";
import { extname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import type { AdminService, ImportApiKeyRequest, ItemError } from "../../gen/ichor/v1/admin_service_pb.ts";
import { isCallError, isWorthRetrying } from "./call-error.ts";
import { csvItems, type ItemOf, jsonLineItems } from "./import-items.ts";
import { type FilePlace, readRecords, type TextRecord } from "./import-records.ts";
import { type ImportState, ImportStateFile } from "./import-state.ts";
import { type CliIo, CommandEnd, exitStatus } from "./io.ts";

const batchItemsMax = 1000;
/** Characters of one batch: well below what the server takes. */
const batchCharactersMax = 8 * 1024 * 1024;
const triesMax = 8;
const retryMs = 500;
const stateEveryMs = 1_000;

export interface ImportOptions {
  readonly file: string;
  readonly format: "csv" | "jsonl" | undefined;
  /** Name of keys whose line has none. */
  readonly name: string | undefined;
  readonly allowRevoked: boolean;
  readonly restart: boolean;
  /** Batches that are under way at once. */
  readonly parallel: number;
}

export interface ImportSummary {
  readonly imported: number;
  readonly present: number;
  readonly refused: number;
  readonly seconds: number;
  /** Keys per second of this run. */
  readonly rate: number;
  /** Report of the refused lines; absent if there are none. */
  readonly report?: string;
}

interface Batch {
  readonly items: readonly { readonly line: number; readonly item: ImportApiKeyRequest }[];
  readonly faults: readonly Refusal[];
  readonly end: FilePlace;
}

interface Refusal {
  readonly line: number;
  readonly reason: string;
  readonly message: string;
  readonly violations?: readonly { readonly field: string; readonly description: string }[];
}

/** Imports the keys of a file in batches, and goes on where an earlier run of the same file ended. */
export async function importKeys(
  client: Client<typeof AdminService>,
  io: CliIo,
  options: ImportOptions,
): Promise<ImportSummary> {
  const run = new ImportRun(client, io, options);
  return run.run();
}

class ImportRun {
  readonly #client: Client<typeof AdminService>;
  readonly #io: CliIo;
  readonly #options: ImportOptions;
  readonly #stateFile: ImportStateFile;
  readonly #size: number;
  readonly #startMs = performance.now();
  readonly #begunAt: number;
  #state: ImportState;
  #begun = 0;
  #stateWrittenMs = performance.now();
  #toldMs = performance.now();

  constructor(client: Client<typeof AdminService>, io: CliIo, options: ImportOptions) {
    this.#client = client;
    this.#io = io;
    this.#options = options;
    try {
      this.#size = statSync(options.file).size;
      this.#stateFile = new ImportStateFile(options.file);
    } catch (error) {
      throw new CommandEnd(
        exitStatus.usage,
        `${options.file} can't be read (${(error as NodeJS.ErrnoException).code})`,
      );
    }
    this.#state = this.#stateFile.read(options.restart);
    this.#begunAt = this.#state.offset;
  }

  async run(): Promise<ImportSummary> {
    const { stop } = this.#io;
    const underWay: Promise<readonly Refusal[]>[] = [];
    const settle = async () => {
      const [first] = underWay;
      if (first !== undefined) await first;
    };
    try {
      for await (const batch of this.#batches()) {
        if (stop.aborted) break;
        // Answers are taken in order, so that everything before the place in the state file was answered for.
        const before = underWay.at(-1);
        const sending = this.#send(batch, before);
        // Its failure is seen when its turn comes; until then the file is read on.
        sending.catch(() => {});
        underWay.push(sending);
        if (underWay.length >= this.#options.parallel) {
          await settle();
          underWay.shift();
        }
      }
      while (underWay.length > 0) {
        await settle();
        underWay.shift();
      }
    } catch (error) {
      await Promise.allSettled(underWay);
      this.#stateFile.write(this.#state);
      throw error;
    }
    this.#tell(true);
    if (stop.aborted) {
      this.#stateFile.write(this.#state);
      throw new CommandEnd(
        exitStatus.failed,
        `stopped before line ${this.#state.line}; the same command goes on from there`,
      );
    }
    this.#stateFile.remove();
    return this.#summary();
  }

  /** Sends one batch, and takes its answer once those before are taken. */
  async #send(batch: Batch, before: Promise<unknown> | undefined): Promise<readonly Refusal[]> {
    const sent = this.#import(batch);
    // Whoever awaits the batch before sees its failure.
    sent.catch(() => {});
    await before;
    const { imported, present, refusals } = await sent;
    const report = refusals.map((refusal) => `${JSON.stringify(refusal)}\n`).join("");
    if (report !== "") appendFileSync(this.#stateFile.reportPath, report, { mode: 0o600 });
    const state = this.#state;
    this.#begun += imported;
    this.#state = {
      ...batch.end,
      imported: state.imported + imported,
      present: state.present + present,
      refused: state.refused + refusals.length,
      reportBytes: state.reportBytes + Buffer.byteLength(report),
    };
    const nowMs = performance.now();
    if (nowMs - this.#stateWrittenMs >= stateEveryMs) {
      this.#stateFile.write(this.#state);
      this.#stateWrittenMs = nowMs;
    }
    this.#tell(false);
    return refusals;
  }

  async #import({ items, faults }: Batch): Promise<{ imported: number; present: number; refusals: Refusal[] }> {
    const refusals = [...faults];
    if (items.length === 0) return { imported: 0, present: 0, refusals };
    const { results } = await this.#call(items.map(({ item }) => item));
    let imported = 0;
    let present = 0;
    for (const { index, outcome } of results) {
      if (outcome.case === "apiKey") imported++;
      else if (outcome.case === "error" && outcome.value.reason === "KEY_ALREADY_EXISTS") present++;
      else if (outcome.case === "error") refusals.push(refusalOf(items[index]?.line ?? 0, outcome.value));
    }
    return { imported, present, refusals: refusals.sort((a, b) => a.line - b.line) };
  }

  /** Tries again what may succeed later; what was done although the answer was lost is found as present then. */
  async #call(items: ImportApiKeyRequest[]) {
    for (let tries = 1; ; tries++) {
      try {
        return await this.#client.batchImportApiKeys({ items });
      } catch (error) {
        if (!isCallError(error) || !isWorthRetrying(error) || tries === triesMax || this.#io.stop.aborted) throw error;
        await pause(Math.min(retryMs * 2 ** (tries - 1), 10_000) * (0.5 + Math.random()));
      }
    }
  }

  async *#batches(): AsyncGenerator<Batch> {
    const { file, name, allowRevoked } = this.#options;
    const format = this.#options.format ?? (extname(file).toLowerCase() === ".csv" ? "csv" : "jsonl");
    const defaults = { ...(name !== undefined && { name }), ...(allowRevoked && { allowRevoked: true }) };
    let itemOf: ItemOf | undefined = format === "jsonl" ? jsonLineItems(defaults) : undefined;
    let batch: { items: Batch["items"][number][]; faults: Refusal[]; characters: number } = emptyBatch();
    let end: FilePlace = this.#state;
    // A CSV file's header is read first, wherever it goes on.
    for await (const header of format === "csv" ? readRecords(file, { offset: 0, line: 1 }, true) : []) {
      itemOf = csvItems(header.text, defaults);
      if (end.offset === 0) end = { offset: header.endOffset, line: header.endLine };
      break;
    }
    if (itemOf === undefined) return;
    for await (const record of readRecords(file, end, format === "csv")) {
      addRecord(batch, record, itemOf);
      batch.characters += record.text.length;
      const place = { offset: record.endOffset, line: record.endLine };
      if (batch.items.length + batch.faults.length < batchItemsMax && batch.characters < batchCharactersMax) {
        end = place;
        continue;
      }
      yield { ...batch, end: place };
      batch = emptyBatch();
    }
    if (batch.items.length + batch.faults.length > 0) yield { ...batch, end };
  }

  #tell(last: boolean): void {
    const nowMs = performance.now();
    const tty = (this.#io.stderr as Partial<NodeJS.WriteStream>).isTTY === true;
    if (!last && nowMs - this.#toldMs < (tty ? 200 : 5_000)) return;
    this.#toldMs = nowMs;
    const { imported, present, refused, offset } = this.#state;
    const rate = this.#rate();
    const share = (offset - this.#begunAt) / Math.max(1, this.#size - this.#begunAt);
    const restSeconds = share > 0 ? ((nowMs - this.#startMs) / 1000 / share) * (1 - share) : Number.NaN;
    const rest = last || Number.isNaN(restSeconds) ? "" : `, about ${Math.ceil(restSeconds)} s left`;
    const text = `${imported} imported, ${present} present, ${refused} refused, ${Math.round(rate)}/s${rest}`;
    this.#io.stderr.write(tty && !last ? `\r\u001b[K${text}` : `${tty ? "\r\u001b[K" : ""}${text}\n`);
  }

  #rate(): number {
    return this.#begun / Math.max(0.001, (performance.now() - this.#startMs) / 1000);
  }

  #summary(): ImportSummary {
    const { imported, present, refused } = this.#state;
    const seconds = Math.round(performance.now() - this.#startMs) / 1000;
    return {
      imported,
      present,
      refused,
      seconds,
      rate: Math.round(this.#rate()),
      ...(refused > 0 && { report: this.#stateFile.reportPath }),
    };
  }
}

function emptyBatch(): { items: Batch["items"][number][]; faults: Refusal[]; characters: number } {
  return { items: [], faults: [], characters: 0 };
}

function addRecord(
  { items, faults }: { items: Batch["items"][number][]; faults: Refusal[] },
  { line, text }: TextRecord,
  itemOf: ItemOf,
): void {
  try {
    items.push({ line, item: itemOf(text) });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    faults.push({ line, reason: "INVALID_LINE", message: `the line ${error.message}` });
  }
}

function refusalOf(line: number, { reason, message, violations }: ItemError): Refusal {
  const fields = violations.map(({ field, description }) => ({ field, description }));
  return { line, reason, message, ...(fields.length > 0 && { violations: fields }) };
}
