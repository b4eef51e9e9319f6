import { type DriverAdapterError, isDriverAdapterError } from "@prisma/driver-adapter-utils";
import { Prisma } from "../../gen/prisma/sqlite/client.ts";
import { IchorError } from "../core/errors.ts";
import { StoreFenced } from "./head-row.ts";
import { MutexTimeout } from "./mutex.ts";
import { failureOfMysqlCode, failureOfSqlState, type ServerFailure, serverFailureOf } from "./server-failure.ts";
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

/**
 * The database gave no answer. Nothing of the request was done, or, if the connection broke while the commit was on its
 * way, all of it or nothing: a repeat with the same `request_id` learns which.
 */
export function storeUnavailable(cause: unknown): IchorError {
  return new IchorError("STORE_UNAVAILABLE", "the store can't answer now", {
    retryAfterMs: unavailableRetryAfterMs,
    cause,
  });
}

/** Whether the transaction was rolled back because another was in its way: the same may work when tried again. */
export function isConflict(error: unknown): boolean {
  return failureOf(error) === "conflict";
}

/** Whether the database can't answer (locked, full, failing, gone), as against a question that is wrong. */
function isUnavailable(error: unknown): boolean {
  return failureOf(error) !== undefined;
}

function failureOf(error: unknown): ServerFailure | undefined {
  if (error instanceof MutexTimeout || error instanceof DatabaseGone || error instanceof StoreFenced)
    return "unavailable";
  if (error instanceof Error && isDriverAdapterError(error)) return failureOfAdapter(error);
  if (error instanceof Prisma.PrismaClientKnownRequestError) {
    if (error.code === "P2034") return "conflict";
    if (unavailablePrismaCodes.has(error.code)) return "unavailable";
    // Errors of sockets come without an adapter's, under their own code.
    return failureOf(error.meta?.driverAdapterError) ?? serverFailureOf(error);
  }
  if (error instanceof TypeError && /database connection is not open/.test(error.message)) return "unavailable";
  return unavailableSqlite.test(sqliteCode(error)) ? "unavailable" : serverFailureOf(error);
}

function failureOfAdapter({ cause }: DriverAdapterError): ServerFailure | undefined {
  if (cause.kind === "TransactionWriteConflict") return "conflict";
  if (unavailableKinds.has(cause.kind)) return "unavailable";
  const code = cause.originalCode ?? "";
  if (cause.kind === "mysql") return failureOfMysqlCode(Number(code));
  return unavailableSqlite.test(code) ? "unavailable" : failureOfSqlState(code);
}

const unavailableSqlite = /^SQLITE_(BUSY|LOCKED|FULL|IOERR|CANTOPEN|READONLY|CORRUPT|NOTADB|NOMEM|PROTOCOL|INTERRUPT)/;

const unavailableKinds: ReadonlySet<string> = new Set([
  "AuthenticationFailed",
  "ConnectionClosed",
  "DatabaseAccessDenied",
  "DatabaseDoesNotExist",
  "DatabaseNotReachable",
  "SocketTimeout",
  "TlsConnectionError",
  "TooManyConnections",
  "TransactionAlreadyClosed",
]);

/** Timeouts of the database, of a transaction and of its start, and connections that can't be had. */
const unavailablePrismaCodes: ReadonlySet<string> = new Set([
  "P1000",
  "P1001",
  "P1002",
  "P1003",
  "P1008",
  "P1010",
  "P1011",
  "P1017",
  "P2024",
  "P2028",
  "P2037",
]);

/** Whether an insert found its primary key free; within a transaction a key that is taken may end it. */
export async function insertedIfFree(insert: Promise<unknown>): Promise<boolean> {
  try {
    await insert;
    return true;
  } catch (error) {
    if (error instanceof Prisma.PrismaClientKnownRequestError && error.code === "P2002") return false;
    throw error;
  }
}
