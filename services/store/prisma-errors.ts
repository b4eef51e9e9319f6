import { DriverAdapterError } from "@prisma/driver-adapter-utils";
import { Prisma } from "../../gen/prisma/sqlite/client.ts";
import { IchorError } from "../core/errors.ts";
import { MutexTimeout } from "./mutex.ts";
import { sqliteCode } from "./sqlite-busy.ts";
import { DatabaseGone } from "./sqlite-connections.ts";

/** When to ask again a store that gave no answer. */
export const unavailableRetryAfterMs = 500;

/** Runs what asks the database; that it can't answer becomes `STORE_UNAVAILABLE`, everything else is thrown on. */
export async function answering<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw isUnavailable(error) ? storeUnavailable(error) : error;
  }
}

/** The database gave no answer; nothing of the request was done. */
export function storeUnavailable(cause: unknown): IchorError {
  return new IchorError("STORE_UNAVAILABLE", "the store can't answer now", {
    retryAfterMs: unavailableRetryAfterMs,
    cause,
  });
}

/** Whether the database can't answer (locked, full, failing, gone), as against a question that is wrong. */
function isUnavailable(error: unknown): boolean {
  if (error instanceof MutexTimeout || error instanceof DatabaseGone) return true;
  if (error instanceof DriverAdapterError)
    return unavailableKinds.has(error.cause.kind) || unavailableSqlite.test(error.cause.originalCode ?? "");
  if (error instanceof Prisma.PrismaClientKnownRequestError) {
    return unavailablePrismaCodes.has(error.code) || isUnavailable(error.meta?.driverAdapterError);
  }
  if (error instanceof TypeError) return /database connection is not open/.test(error.message);
  return unavailableSqlite.test(sqliteCode(error));
}

const unavailableSqlite = /^SQLITE_(BUSY|LOCKED|FULL|IOERR|CANTOPEN|READONLY|CORRUPT|NOTADB|NOMEM|PROTOCOL|INTERRUPT)/;

const unavailableKinds: ReadonlySet<string> = new Set([
  "SocketTimeout",
  "TransactionAlreadyClosed",
  "ConnectionClosed",
]);

/** Timeouts of the database, of a transaction and of its start; what the facts page lists as worth a retry. */
const unavailablePrismaCodes: ReadonlySet<string> = new Set([
  "P1001",
  "P1002",
  "P1008",
  "P1017",
  "P2024",
  "P2028",
  "P2034",
]);
