import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { parseDatabaseUrl } from "./core/database-url.ts";
import { exposedRights, groupAndOthers } from "./core/file-rights.ts";

/** Log levels, from most to least told. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Where a listener listens. Port 0 lets the system choose. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** What `ichor serve` and `ichor migrate` run on. Frozen. */
export interface ServerConfig {
  readonly dataDir: string;
  readonly listen: ListenAddress;
  /** Base URL of the issuer without trailing slash; undefined: made from the listener's address. */
  readonly publicUrl: string | undefined;
  /** May hold a password. */
  readonly databaseUrl: string;
  /** May hold a password; undefined: none. */
  readonly redisUrl: string | undefined;
  readonly wakeUps: boolean;
  readonly masterKeyFile: string;
  /** Whether a missing master key file is made at the first start: only if its place wasn't chosen. */
  readonly makeMasterKey: boolean;
  readonly migrate: boolean;
  readonly reflection: boolean;
  readonly logLevel: LogLevel;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
}

/** What the client commands of the CLI run on. Frozen. */
export interface ClientConfig {
  /** Base URL of the server, without trailing slash. */
  readonly url: string;
  readonly credential: string;
  /** Tenant to act on, sent as `Ichor-Tenant`; undefined: the caller's own. */
  readonly tenant: string | undefined;
}

/** A setting as the reference page tells it. */
export interface Setting {
  readonly name: string;
  readonly fallback: string;
  readonly description: string;
}

/** Every environment variable that Ichor reads; any other `ICHOR_…` is a fault. */
export const settings: readonly Setting[] = [
  {
    name: "ICHOR_DATA_DIR",
    fallback: ".ichor",
    description: "Folder of the embedded store, `root.key` and `master.key`.",
  },
  {
    name: "ICHOR_LISTEN",
    fallback: "127.0.0.1:8420",
    description: "Address of the listener, as `host:port` or `[ipv6]:port`; port 0: any free one.",
  },
  {
    name: "ICHOR_PUBLIC_URL",
    fallback: "from the listener",
    description: "Base URL of the issuer, `http://` or `https://`, without query.",
  },
  {
    name: "ICHOR_DATABASE_URL",
    fallback: "SQLite in the data directory",
    description:
      "Where the store is: `file:PATH`, or `postgresql://`, `mysql://` or `cockroachdb://` with `user:password@host:port/database`; " +
      "the operating guide's page on databases tells its parameters.",
  },
  {
    name: "ICHOR_MASTER_KEY_FILE",
    fallback: "`master.key` in the data directory, made at the first start; none with a database server",
    description:
      "File of the master keys: base64 of 32 bytes, one a line, the current one first; readable by its owner only.",
  },
  {
    name: "ICHOR_MIGRATE",
    fallback: "on",
    description: "Whether `ichor serve` applies pending migrations: `on` or `off`.",
  },
  {
    name: "ICHOR_REDIS_URL",
    fallback: "none",
    description: "Redis through which servers of one store wake each other: `redis://` or, with TLS, `rediss://`.",
  },
  {
    name: "ICHOR_WAKE_UPS",
    fallback: "on",
    description:
      "Whether servers of one store wake each other, by Redis or PostgreSQL's NOTIFY, instead of only looking every second: `on` or `off`.",
  },
  { name: "ICHOR_REFLECTION", fallback: "on", description: "Whether the reflection services answer: `on` or `off`." },
  { name: "ICHOR_LOG_LEVEL", fallback: "info", description: `One of ${logLevels.join(", ")}.` },
  {
    name: "ICHOR_TLS_CERT_FILE",
    fallback: "none: cleartext",
    description: "PEM certificate chain of the listener; goes with ICHOR_TLS_KEY_FILE.",
  },
  {
    name: "ICHOR_TLS_KEY_FILE",
    fallback: "none: cleartext",
    description: "PEM private key of the listener; no rights for others than its owner and group.",
  },
  { name: "ICHOR_URL", fallback: "http://127.0.0.1:8420", description: "Client commands: base URL of the server." },
  {
    name: "ICHOR_CREDENTIAL",
    fallback: "none",
    description: "Client commands: the credential to call with; ICHOR_CREDENTIAL_FILE is safer.",
  },
  {
    name: "ICHOR_CREDENTIAL_FILE",
    fallback: "`root.key` in the data directory",
    description: "Client commands: file that holds the credential to call with; readable by its owner only.",
  },
  { name: "ICHOR_TENANT", fallback: "the caller's own", description: "Client commands: tenant to act on, id or slug." },
];

/** All faults of a configuration, found at once. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      `the configuration has ${faults.length} fault${faults.length === 1 ? "" : "s"}:\n${faults.map((f) => `  - ${f}`).join("\n")}`,
    );
    this.faults = faults;
  }
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** The environment of this process: the only place that reads it. */
export function processEnvironment(): Environment {
  return process.env;
}

/** Reads the server's configuration. Throws ConfigError with every fault. */
export function loadServerConfig(env: Environment): ServerConfig {
  const read = reader(env);
  const dataDir = resolve(read.text("ICHOR_DATA_DIR") ?? ".ichor");
  const listen = read.parsed("ICHOR_LISTEN", parseListenAddress) ?? { host: "127.0.0.1", port: 8420 };
  const publicUrl = read.parsed("ICHOR_PUBLIC_URL", parseBaseUrl);
  const database = read.parsed("ICHOR_DATABASE_URL", parseDatabaseUrl);
  const databaseUrl = read.text("ICHOR_DATABASE_URL") ?? `file:${resolve(dataDir, "ichor.db")}`;
  const masterKeyFile = read.text("ICHOR_MASTER_KEY_FILE");
  if (database !== undefined && database.provider !== "sqlite" && masterKeyFile === undefined) {
    // Replicas share one, and a key made in the folder of one of them would be lost with it.
    read.fault("ICHOR_MASTER_KEY_FILE is needed with a database server");
  }
  const redisUrl = read.parsed("ICHOR_REDIS_URL", parseRedisUrl);
  const wakeUps = read.parsed("ICHOR_WAKE_UPS", parseSwitch) ?? true;
  const migrate = read.parsed("ICHOR_MIGRATE", parseSwitch) ?? true;
  const reflection = read.parsed("ICHOR_REFLECTION", parseSwitch) ?? true;
  const logLevel = read.parsed("ICHOR_LOG_LEVEL", parseLogLevel) ?? "info";
  const certFile = read.text("ICHOR_TLS_CERT_FILE");
  const keyFile = read.text("ICHOR_TLS_KEY_FILE");
  if ((certFile === undefined) !== (keyFile === undefined)) {
    read.fault("ICHOR_TLS_CERT_FILE and ICHOR_TLS_KEY_FILE go together");
  }
  read.finish();
  return Object.freeze({
    dataDir,
    listen,
    publicUrl,
    databaseUrl,
    redisUrl,
    wakeUps,
    masterKeyFile: masterKeyFile === undefined ? resolve(dataDir, "master.key") : resolve(masterKeyFile),
    makeMasterKey: masterKeyFile === undefined,
    migrate,
    reflection,
    logLevel,
    tls:
      certFile === undefined || keyFile === undefined
        ? undefined
        : { certFile: resolve(certFile), keyFile: resolve(keyFile) },
  });
}

/** Reads what client commands need; the credential file's surrounding white space is cut. Throws ConfigError with every fault. */
export function loadClientConfig(env: Environment): ClientConfig {
  const read = reader(env);
  const url = read.parsed("ICHOR_URL", parseBaseUrl) ?? "http://127.0.0.1:8420";
  const credential = readCredential(read);
  // Whatever can't be in a header would be quoted by the error that says so.
  if (credential !== "" && !headerText.test(credential)) {
    read.fault("the credential has characters that no credential has, as spaces or a second line");
  }
  const tenant = read.text("ICHOR_TENANT");
  if (tenant !== undefined && !headerText.test(tenant))
    read.fault("ICHOR_TENANT is neither a tenant's id nor its slug");
  read.finish();
  return Object.freeze({ url, credential, tenant });
}

/** Visible ASCII: what ids and credentials are made of. */
const headerText = /^[\x21-\x7e]+$/;

function readCredential(read: Reader): string {
  const direct = read.text("ICHOR_CREDENTIAL");
  const file = read.text("ICHOR_CREDENTIAL_FILE");
  if (direct !== undefined && file !== undefined) {
    read.fault("ICHOR_CREDENTIAL and ICHOR_CREDENTIAL_FILE exclude each other");
  }
  if (direct !== undefined) return direct;
  const path = file ?? resolve(read.text("ICHOR_DATA_DIR") ?? ".ichor", "root.key");
  try {
    const rights = exposedRights(statSync(path).mode, groupAndOthers);
    if (rights !== undefined) {
      read.fault(`the credential file ${path} has mode ${rights}; it must be its owner's only: chmod 600`);
    }
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    read.fault(
      `no credential: ${path} can't be read (${(error as NodeJS.ErrnoException).code}); set ICHOR_CREDENTIAL_FILE`,
    );
    return "";
  }
}

interface Reader {
  text(name: string): string | undefined;
  parsed<T>(name: string, parse: (text: string) => T): T | undefined;
  fault(text: string): void;
  finish(): void;
}

/** Collects faults; a parser throws a RangeError with a sentence when the text is no value. */
function reader(env: Environment): Reader {
  const faults: string[] = [];
  const known = new Set(settings.map((setting) => setting.name));
  for (const name of Object.keys(env)) {
    if (name.startsWith("ICHOR_") && !known.has(name)) faults.push(`${name} is not a setting of this version`);
  }
  const text = (name: string) => env[name] || undefined;
  return {
    text,
    parsed(name, parse) {
      const value = text(name);
      if (value === undefined) return undefined;
      try {
        return parse(value);
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        faults.push(`${name} ${error.message}`);
        return undefined;
      }
    },
    fault: (fault) => void faults.push(fault),
    finish() {
      if (faults.length > 0) throw new ConfigError(faults);
    },
  };
}

function parseListenAddress(text: string): ListenAddress {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) throw new RangeError("must be host:port or [ipv6]:port");
  return { host, port };
}

function parseBaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain =
    url !== undefined && /^https?:$/.test(url.protocol) && !url.search && !url.hash && !url.username && !url.password;
  if (!plain) throw new RangeError("must be an http:// or https:// URL without query, fragment or user");
  return text.replace(/\/+$/, "");
}

function parseRedisUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const sound =
    url !== undefined && /^rediss?:$/.test(url.protocol) && url.hostname !== "" && /^(\/\d{0,3})?$/.test(url.pathname);
  if (!sound || url.search !== "")
    throw new RangeError("must be redis://host:port or rediss://host:port, without query");
  return text;
}

function parseSwitch(text: string): boolean {
  if (text !== "on" && text !== "off") throw new RangeError("must be on or off");
  return text === "on";
}

function parseLogLevel(text: string): LogLevel {
  const level = logLevels.find((name) => name === text);
  if (level === undefined) throw new RangeError(`must be one of ${logLevels.join(", ")}`);
  return level;
}
