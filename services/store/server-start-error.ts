import { placeOf, type ServerDatabase } from "../core/database-url.ts";
import { serverFailureOf } from "./server-failure.ts";
import { StoreStartError } from "./start-error.ts";

/** What an operator is told when the database can't be reached at the start; errors of another kind come back as they are. */
export function serverStartError(database: ServerDatabase, error: unknown): unknown {
  if (error instanceof StoreStartError || !(error instanceof Error)) return error;
  if (serverFailureOf(error) === undefined) return error;
  const { code, errno, cause } = error as { code?: unknown; errno?: unknown; cause?: { code?: unknown } };
  const known = [code, errno, cause?.code, error.message].map(String);
  const text = startTexts.find(([pattern]) => known.some((one) => pattern.test(one)))?.[1] ?? "can't be used";
  const place = placeOf(database);
  return new StoreStartError(`the database ${place} ${text} (${code ?? error.message})`, { cause: error });
}

const startTexts: readonly (readonly [RegExp, string])[] = [
  [/^(28P01|28000|1045|1698)$/, "refuses the user or the password of the database URL"],
  [/^(3D000|1049)$/, "isn't there: create the database"],
  [/^(1044|42501)$/, "may not be used by the user of the database URL"],
  [/^(53300|1040|1203)$/, "has no connection left"],
  [/^(57P03|1053)$/, "is starting up or shutting down"],
  [/^(ENOTFOUND|EAI_AGAIN)$/, "has a host name that isn't known"],
  [
    /^(ERR_TLS|ERR_SSL|CERT_|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|HOSTNAME_MISMATCH|45023)|SSL|certificate/i,
    "can't be reached by TLS that is verified: see sslmode and sslrootcert of the database URL",
  ],
  [/^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|ECONNRESET|timeout|Connection terminated)/, "can't be reached"],
];
