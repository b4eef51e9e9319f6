import { readFileSync } from "node:fs";
import type { ConnectionOptions } from "node:tls";
import type { ServerDatabase } from "../core/database-url.ts";
import { StoreStartError } from "./start-error.ts";

/** How TLS to the database is made; undefined: not at all. Throws StoreStartError if a file can't be read. */
export function serverTlsOf(database: ServerDatabase): ConnectionOptions | undefined {
  const { tls, host, caFile, certFile, keyFile } = database;
  if (tls === "disable") return undefined;
  return {
    // The name that the certificate must have; without it an address would be compared with "localhost".
    host,
    minVersion: "TLSv1.2",
    rejectUnauthorized: tls !== "require",
    ...(tls !== "verify-full" && { checkServerIdentity: () => undefined }),
    ...(caFile !== undefined && { ca: contentsOf(caFile, "sslrootcert") }),
    ...(certFile !== undefined && { cert: contentsOf(certFile, "sslcert") }),
    ...(keyFile !== undefined && { key: contentsOf(keyFile, "sslkey") }),
  };
}

function contentsOf(path: string, parameter: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : cause;
    throw new StoreStartError(`the file ${path} of the database URL's ${parameter} can't be read (${code})`, { cause });
  }
}
