import type { ListenerTlsFiles } from "../config/listener-tls.ts";
import type { createListener as CreateListener, ListenerOptions } from "../http/listener.ts";
import { certificateEnd, readTlsFiles } from "../http/tls-files.ts";
import type { PrimaryFamily } from "../workers/primary-family.ts";
import { bound, type Place } from "./listen-place.ts";

/** What a door needs of a configuration. */
export interface DoorConfig {
  readonly listen: Place;
  readonly tls: ListenerTlsFiles | undefined;
}

/** Where calls come in: a listener of this process, or its workers. */
export interface Door {
  /** Gives the URL. */
  open(): Promise<string>;
  /** When the certificate ends, in s since the epoch; undefined: there is none here. */
  certificateEnd(): number | undefined;
  /** Makes ready what a reload changes here and gives what puts it into effect; throws if that can't be. */
  prepare(next: Pick<DoorConfig, "tls">): () => void;
  /** Lets no more calls in, and those in flight end within the time; gives what is worth a line in the log. */
  drain(timeoutMs: number): Promise<object>;
}

/** What the listener is made of. */
export interface ListenerParts extends Pick<ListenerOptions, "handler" | "fastUnary" | "log"> {
  readonly createListener: typeof CreateListener;
  /** What names the place that it listens at. */
  readonly setting: string;
  /** As it was read before anything was made; undefined: cleartext. */
  readonly tls: ReturnType<typeof readTlsFiles> | undefined;
}

/** The listener of this process. */
export function ownDoor({ listen }: DoorConfig, { createListener, setting, tls, ...served }: ListenerParts): Door {
  let certificate = tls?.cert;
  const listener = createListener({ ...served, ...(tls && { tls }) });
  return {
    open: async () => (await bound(listener, listen, setting)).url,
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
