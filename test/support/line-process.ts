import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A script in a process of its own that answers questions, one line of JSON each way, once it has said that it is ready. */
export class LineProcess<Answer> {
  readonly #child: ChildProcess;
  readonly #answers = new Map<number, (answer: Answer) => void>();
  #lastId = 0;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** @param onLine told of what answers no question */
  static async start<Answer>(
    script: string,
    options: object,
    onLine: (line: Record<string, unknown>) => void = () => {},
  ): Promise<LineProcess<Answer>> {
    const path = new URL(script, import.meta.url).pathname;
    const child = spawn(process.execPath, [path, JSON.stringify(options)], { stdio: ["pipe", "pipe", "inherit"] });
    const one = new LineProcess<Answer>(child);
    await new Promise<void>((resolve, reject) => {
      child.once("close", (status) => reject(new Error(`${script} ended with ${status}`)));
      createInterface({ input: child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
        const told = JSON.parse(line);
        if (told.ready === true && told.id === undefined) resolve();
        else if (told.id === undefined) onLine(told);
        else one.#answers.get(told.id)?.(told);
      });
    });
    return one;
  }

  ask(question: object): Promise<Answer> {
    const id = ++this.#lastId;
    return new Promise((resolve) => {
      this.#answers.set(id, resolve);
      this.#child.stdin?.write(`${JSON.stringify({ id, ...question })}\n`);
    });
  }

  /** SIGSTOP: it does nothing until `goOn`, and nobody is told. */
  pause(): void {
    this.#child.kill("SIGSTOP");
  }

  goOn(): void {
    this.#child.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    this.goOn();
    await this.ask({ close: true });
  }
}
