import type { Worker } from "node:cluster";

/** A connection as node:cluster hands it to a worker. */
interface Connection {
  /** Negative once it is closed. */
  readonly fd: number;
  close(): void;
}

/**
 * Closes the connections that a worker was given and hadn't taken when it ended. Node would keep them open for ever: it
 * closes its own end, or gives it to another worker, only when the worker answers. So their clients would never be told.
 */
export function closeUntaken(worker: Worker): void {
  const given = new Set<Connection>();
  const { process: child } = worker;
  const send: (...args: unknown[]) => boolean = child.send.bind(child) as never;
  const sendAndKnow = (...args: unknown[]): boolean => {
    for (const connection of given) if (connection.fd < 0) given.delete(connection);
    if (isConnection(args[1])) given.add(args[1]);
    return send(...args);
  };
  child.send = sendAndKnow as never;
  worker.once("exit", () => {
    for (const connection of given) connection.close();
  });
}

function isConnection(handle: unknown): handle is Connection {
  return typeof handle === "object" && handle !== null && "fd" in handle && "close" in handle;
}
