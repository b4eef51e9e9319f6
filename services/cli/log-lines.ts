/** Above this size what has gathered is written at once, in characters. */
const gatheredMax = 64 * 1024;
/** What a pipe takes whole from several writers, in bytes (PIPE_BUF); our lines are ASCII, but for the texts of errors. */
export const atomicWriteMax = 4_096;

/**
 * Gathers the lines of one turn of the event loop and writes them together: a write costs more than a line. Nothing waits
 * longer than the turn; `flush` writes what is left, for whoever ends the process. Processes that share `out` write no more
 * than `atomicWriteMax` at once, so that lines stay whole.
 */
export class LogLines {
  readonly #out: Pick<NodeJS.WritableStream, "write">;
  readonly #writeMax: number;
  #gathered = "";

  constructor(out: Pick<NodeJS.WritableStream, "write">, writeMax = gatheredMax) {
    this.#out = out;
    this.#writeMax = writeMax;
  }

  write(line: string): void {
    if (this.#gathered.length + line.length > this.#writeMax) this.flush();
    if (this.#gathered === "") setImmediate(() => this.flush());
    this.#gathered += line;
  }

  flush(): void {
    const lines = this.#gathered;
    if (lines === "") return;
    this.#gathered = "";
    this.#out.write(lines);
  }
}

/** Makes the time of a line, ISO 8601 in UTC, once per millisecond: a busy server has many lines in one. */
export function isoTimeOf(now: () => number): () => string {
  let madeMs = Number.NaN;
  let made = "";
  return () => {
    const nowMs = now();
    if (nowMs !== madeMs) {
      madeMs = nowMs;
      made = `,"time":"${new Date(nowMs).toISOString()}"`;
    }
    return made;
  };
}
