import type { App } from "../app.ts";
import type { ListenAddress } from "../config/kinds.ts";
import type { ServerConfig } from "../config/server-config.ts";
import { variableOf } from "../config/setting.ts";
import type { createListener as CreateListener } from "../http/listener.ts";
import { certificateEnd, readTlsFiles } from "../http/tls-files.ts";
import type { Log } from "../rpc/log.ts";
import type { PrimaryFamily } from "../workers/primary-family.ts";
import { CommandEnd, exitStatus } from "./io.ts";

/** Where a server's calls come in: a listener of this process, or its workers. */
export interface Door {
  /** Gives the URL. */
  open(): Promise<string>;
  /** When the certificate ends, in s since the epoch; undefined: there is none here. */
  certificateEnd(): number | undefined;
  /** Makes ready what a reload changes here and gives what puts it into effect; throws if that can't be. */
  prepare(next: ServerConfig): () => void;
  /** Lets no more calls in, and those in flight end within the time; gives what is worth a line in the log. */
  drain(timeoutMs: number): Promise<object>;
}

/** What the listener is made of, apart from what it serves. */
export interface ListenerParts {
  readonly createListener: typeof CreateListener;
  /** As it was read before anything was made; undefined: cleartext. */
  readonly tls: ReturnType<typeof readTlsFiles> | undefined;
  readonly log: Log;
}

/** The listener of this process. */
export function ownDoor(config: ServerConfig, app: App, { createListener, tls, log }: ListenerParts): Door {
  let certificate = tls?.cert;
  const listener = createListener({ handler: app.handler, fastUnary: app.fastUnary, ...(tls && { tls }), log });
  return {
    open: async () => (await bound(listener, config.listen, variableOf("listen"))).url,
    certificateEnd: () => certificate && certificateEnd(certificate),
    prepare(next) {
      const renewed = next.tls && readTlsFiles(next.tls);
      return () => {
        if (renewed) listener.renewTls(renewed);
        certificate = renewed?.cert;
      };
    },
    drain: (timeoutMs) => listener.drain(timeoutMs),
  };
}

/** The listeners of the workers. */
export function workersDoor(primary: PrimaryFamily): Door {
  return {
    open: () => primary.begin(),
    // Each of them tells it.
    certificateEnd: () => undefined,
    prepare(next) {
      if (next.tls) readTlsFiles(next.tls);
      return () => primary.reload();
    },
    async drain(timeoutMs) {
      await primary.drain(timeoutMs);
      return {};
    },
  };
}

/** Listens. An address that can't be had is told as what it is: a matter of the configuration, by the setting's variable. */
export async function bound(
  listener: { listen(host: string, port: number): Promise<{ readonly url: string }> },
  { host, port }: ListenAddress,
  variable: string,
): Promise<{ readonly url: string }> {
  try {
    return await listener.listen(host, port);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    const sentence = `can't listen on ${host} port ${port} (${variable}): ${error.message}`;
    throw new CommandEnd(exitStatus.failed, sentence);
  }
}

/** An error of the operating system, as EADDRINUSE or ENOENT. */
export function isSystemError(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && "syscall" in error;
}
