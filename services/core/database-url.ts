/** How the connection to a database server is protected, as libpq names it. */
export const tlsModes = ["disable", "require", "verify-ca", "verify-full"] as const;
export type TlsMode = (typeof tlsModes)[number];

/** A database on a server. Holds a password: never logged; see `placeOf`. */
export interface ServerDatabase {
  readonly provider: "postgresql" | "mysql" | "cockroachdb";
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Empty: none. */
  readonly password: string;
  readonly database: string;
  /**
   * `require` encrypts and believes any certificate, `verify-ca` one that the authorities signed, `verify-full` one that
   * names the host, too.
   */
  readonly tls: TlsMode;
  /** PEM files: the authorities instead of the system's, and the client's own certificate with its key. */
  readonly caFile?: string;
  readonly certFile?: string;
  readonly keyFile?: string;
  /** Most connections of this process, 3 to 200. */
  readonly connectionsMax: number;
}

/** What a database URL names. */
export type DatabaseTarget = { readonly provider: "sqlite"; readonly path: string } | ServerDatabase;

const servers: Readonly<Record<string, Pick<ServerDatabase, "provider" | "port">>> = {
  "postgresql:": { provider: "postgresql", port: 5432 },
  "postgres:": { provider: "postgresql", port: 5432 },
  "mysql:": { provider: "mysql", port: 3306 },
  "cockroachdb:": { provider: "cockroachdb", port: 26257 },
};

const parameters = ["sslmode", "sslrootcert", "sslcert", "sslkey", "connection_limit"];
const connectionsDefault = 10;

/**
 * Reads `file:PATH` or `postgresql://`, `mysql://`, `cockroachdb://` with `user:password@host:port/database` and the
 * parameters above. Without `sslmode` TLS is verified in full, but on the loopback interface it isn't used. Throws a
 * RangeError with a sentence that begins with "must" and quotes nothing of the text.
 */
export function parseDatabaseUrl(text: string): DatabaseTarget {
  if (/^file:/i.test(text)) return { provider: "sqlite", path: pathOf(text) };
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const server = url && servers[url.protocol];
  if (url === undefined || server === undefined) {
    throw new RangeError("must begin with file:, postgresql://, mysql:// or cockroachdb:// and be a URL");
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  const database = decoded(url.pathname.slice(1));
  if (host === "" || !/^[A-Za-z0-9_-]{1,63}$/.test(database)) {
    throw new RangeError("must name a host and a database of letters, digits, _ and -");
  }
  const user = decoded(url.username);
  if (user === "") throw new RangeError("must name a user");
  return {
    ...server,
    host,
    port: url.port === "" ? server.port : Number(url.port),
    user,
    password: decoded(url.password),
    database,
    ...parametersOf(url.searchParams, host),
  };
}

/** Where a database is, without its credentials: for logs and messages. */
export function placeOf(target: DatabaseTarget): string {
  if (target.provider === "sqlite") return `file:${target.path}`;
  const host = target.host.includes(":") ? `[${target.host}]` : target.host;
  return `${target.provider}://${host}:${target.port}/${target.database}`;
}

function parametersOf(given: URLSearchParams, host: string) {
  const names = [...given.keys()];
  if (names.some((name) => !parameters.includes(name)) || new Set(names).size < names.length) {
    throw new RangeError(`must have no other parameters than ${parameters.join(", ")}, and each once`);
  }
  const tls = given.get("sslmode") ?? (isLoopback(host) ? "disable" : "verify-full");
  if (!isTlsMode(tls)) throw new RangeError(`must have a sslmode of ${tlsModes.join(", ")}`);
  const files = { caFile: given.get("sslrootcert"), certFile: given.get("sslcert"), keyFile: given.get("sslkey") };
  if ((files.certFile === null) !== (files.keyFile === null)) {
    throw new RangeError("must have sslcert and sslkey together");
  }
  if (tls === "disable" && Object.values(files).some((file) => file !== null)) {
    throw new RangeError("must have a sslmode other than disable for its certificates");
  }
  const limit = given.get("connection_limit") ?? String(connectionsDefault);
  if (!/^\d{1,3}$/.test(limit) || Number(limit) < 3 || Number(limit) > 200) {
    throw new RangeError("must have a connection_limit from 3 to 200");
  }
  const { caFile, certFile, keyFile } = files;
  return {
    tls,
    ...(caFile !== null && { caFile }),
    ...(certFile !== null && keyFile !== null && { certFile, keyFile }),
    connectionsMax: Number(limit),
  };
}

function pathOf(text: string): string {
  const path = text.slice("file:".length);
  if (path === "" || path.startsWith(":") || path.includes("?")) {
    throw new RangeError("must name a database file after file:, without parameters");
  }
  if (!path.startsWith("//")) return path;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || (url.host !== "" && url.host !== "localhost") || url.pathname === "/") {
    throw new RangeError("must name a file of this machine");
  }
  return decoded(url.pathname);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new RangeError("must be percent-encoded properly");
  }
}

function isTlsMode(text: string): text is TlsMode {
  return tlsModes.some((mode) => mode === text);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
