/**
 * Why a database server didn't do what it was asked, where that isn't the question's fault. `conflict`: another
 * transaction was in the way, all of this one was rolled back, and it may be tried again. `unavailable`: it can't answer.
 */
export type ServerFailure = "conflict" | "unavailable";

/** What an error of a server's driver, or of the socket beneath, means; undefined: the question was wrong. */
export function serverFailureOf(error: unknown): ServerFailure | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, errno } = error as { code?: unknown; errno?: unknown };
  if (typeof code === "string" && /^[0-9A-Z]{5}$/.test(code)) {
    const failure = failureOfSqlState(code);
    if (failure !== undefined) return failure;
  }
  if (typeof errno === "number" && errno > 0) return failureOfMysqlCode(errno);
  if (typeof code === "string" && systemCodes.test(code)) return "unavailable";
  return driverMessages.test(error.message) ? "unavailable" : undefined;
}

/** PostgreSQL's codes, as CockroachDB uses them too (PostgreSQL, appendix A). */
export function failureOfSqlState(code: string): ServerFailure | undefined {
  if (code === "40001" || code === "40P01") return "conflict";
  return unavailableSqlStates.test(code) ? "unavailable" : undefined;
}

/** Error numbers of MySQL and MariaDB servers, and from 45000 those of the driver. */
export function failureOfMysqlCode(code: number): ServerFailure | undefined {
  // 1020: MariaDB with innodb_snapshot_isolation, for a row that changed since the snapshot.
  if (code === 1213 || code === 1020) return "conflict";
  return code >= 45_000 || unavailableMysqlCodes.has(code) ? "unavailable" : undefined;
}

/**
 * Connections (08), authorisation (28), resources (53), intervention (57P0x), system (58), damage (XX); a database that is
 * gone, only to be read, or that waited too long for a lock, a statement or the client; CockroachDB's unknown outcome.
 */
const unavailableSqlStates = /^(08...|28...|53...|57P0.|57014|58...|XX00[12]|3D000|25006|25P03|55P03|40003)$/;

const unavailableMysqlCodes: ReadonlySet<number> = new Set([
  // Disk, memory, tables that are full or damaged.
  1021, 1026, 1034, 1037, 1041, 1114, 1194, 1195,
  // Connections: too many, refused, lost, killed; credentials, rights on the database, and databases that are gone.
  1040, 1042, 1043, 1044, 1045, 1049, 1129, 1130, 1152, 1158, 1159, 1160, 1161, 1203, 1226, 1927, 2002, 2003, 2006,
  2013,
  // Shutting down, only to be read, interrupted, waited too long.
  1053, 1077, 1205, 1290, 1317, 1792, 1836, 1969, 3024,
]);

const systemCodes =
  /^(ECONNREFUSED|ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|EHOSTDOWN|ENETUNREACH|ENETDOWN|ENOENT|EADDRNOTAVAIL|EMFILE|ENFILE|ERR_TLS_.*|ERR_SSL_.*|CERT_.*|SELF_SIGNED_.*|DEPTH_ZERO_.*|UNABLE_TO_.*|HOSTNAME_MISMATCH)$/;

/** What node-postgres says without a code. */
const driverMessages =
  /^(Connection terminated|timeout exceeded when trying to connect|Query read timeout|Cannot use a pool after calling end|Client has encountered a connection error|Client was closed|The server does not support SSL|There was an error establishing an SSL)/;
