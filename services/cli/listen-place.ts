import { chmodSync, lstatSync, rmSync } from "node:fs";
import { connect } from "node:net";
import type { ListenAddress } from "../config/kinds.ts";
import { CommandEnd, exitStatus } from "./io.ts";

/** Where calls come in: an address, or a Unix socket. */
export type Place = ListenAddress | { readonly path: string };

/** What can listen. */
interface Listening {
  listen(host: string, port: number): Promise<{ readonly url: string }>;
  listenAtPath?(path: string): Promise<void>;
}

/**
 * Listens, and gives the URL, or `unix:` and the path. A place that can't be had is told as what it is: a matter of the
 * configuration, by the setting's name.
 */
export async function bound(listener: Listening, place: Place, setting: string): Promise<{ readonly url: string }> {
  try {
    return "host" in place ? await listener.listen(place.host, place.port) : await boundAtPath(listener, place.path);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const where = "host" in place ? `${place.host} port ${place.port}` : place.path;
    throw new CommandEnd(exitStatus.failed, `can't listen on ${where} (${setting}): ${error.message}`);
  }
}

/** An error of the operating system, as EADDRINUSE or ENOENT. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}

async function boundAtPath(listener: Listening, path: string): Promise<{ readonly url: string }> {
  await removeDeadSocket(path);
  await listener.listenAtPath?.(path);
  // Its owner and its group: who may connect is who may call.
  chmodSync(path, 0o660);
  return { url: `unix:${path}` };
}

/** What a killed process left: a socket that nobody answers on. Anything else is left alone. */
async function removeDeadSocket(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() !== true) return;
  const refused = await new Promise<boolean>((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
  });
  if (refused) rmSync(path);
}
