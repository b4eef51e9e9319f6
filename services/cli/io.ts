import { readFileSync } from "node:fs";
import type { Environment } from "../config/collect.ts";
import type { ConfigFile } from "../config/config-file.ts";

/** What a command may touch of the process. */
export interface CliIo {
  readonly env: Environment;
  /** The profile of client commands, if one is named. */
  readonly profile?: ConfigFile | undefined;
  readonly stdout: NodeJS.WritableStream;
  readonly stderr: NodeJS.WritableStream;
  readonly stdin: NodeJS.ReadableStream;
  /** Aborts at SIGTERM and SIGINT. */
  readonly stop: AbortSignal;
  /** Calls back at each SIGHUP from now on; until it is called, a SIGHUP ends the process. */
  readonly onReload: (callback: () => void) => void;
}

/** How a command ends, as the process's exit status. */
export const exitStatus = {
  ok: 0,
  /** The answer is "no": a credential that isn't valid. */
  no: 1,
  /** The command line or the configuration is wrong; nothing was done. */
  usage: 2,
  /** The call, or the server, failed. */
  failed: 3,
} as const;

/** A command that ends with a status other than 0, having said why. */
export class CommandEnd extends Error {
  override readonly name = "CommandEnd";
  readonly status: number;

  constructor(status: number, message = "") {
    super(message);
    this.status = status;
  }
}

/** Reads a stream to its end as UTF-8, white space around it cut; at most `bytesMax` bytes. */
export async function readText(stream: NodeJS.ReadableStream, bytesMax = 65_536): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    const bytes = Buffer.from(chunk);
    size += bytes.length;
    if (size > bytesMax) throw new CommandEnd(exitStatus.usage, `the input has more than ${bytesMax / 1024} KiB`);
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString("utf8").trim();
}

/** Reads a credential from a file, or from standard input if that is `-`. */
export async function readCredential(io: CliIo, file: string): Promise<string> {
  if (file === "-") return readText(io.stdin);
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new CommandEnd(exitStatus.usage, `${file} can't be read (${(error as NodeJS.ErrnoException).code})`);
  }
}
