/** Above this size what has gathered is written at once, in characters. */
const gatheredMax = 64 * 1024;

/**
 * Gathers the lines of one turn of the event loop and writes them together: a write costs more than a line. Nothing waits
 * longer than the turn; `flush` writes what is left, for whoever ends the process.
 */
export class LogLines {
  readonly #out: Pick<NodeJS.WritableStream, "write">;
  #gathered = "";

  constructor(out: Pick<NodeJS.WritableStream, "write">) {
    this.#out = out;
  }

  write(line: string): void {
    if (this.#gathered === "") setImmediate(() => this.flush());
    this.#gathered += line;
    if (this.#gathered.length > gatheredMax) this.flush();
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
