import { resolve } from "node:path";
import type { TrustedProxies } from "../core/client-address.ts";
import { parseDatabaseUrl } from "../core/database-url.ts";
import { collect, type Environment, Faults } from "./collect.ts";
import { type ConfigFile, readConfigFile } from "./config-file.ts";
import type { CertificateKey, ListenAddress } from "./kinds.ts";
import { type ListenerTlsFiles, listenerTlsOf } from "./listener-tls.ts";
import type { Given } from "./setting.ts";
import { configFileVariable, serverSettings } from "./settings.ts";
import type { LogLevel } from "./shared-settings.ts";

/** What `ichor serve` and `ichor migrate` run on. Frozen. A setting that a reload may change has its own name here. */
export interface ServerConfig {
  readonly dataDir: string;
  readonly listen: ListenAddress;
  /** How many processes take calls. */
  readonly workers: number;
  /** Base URL of the issuer without trailing slash; undefined: made from the listener's address. */
  readonly publicUrl: string | undefined;
  /** May hold a password. */
  readonly databaseUrl: string;
  /** May hold a password; undefined: none. */
  readonly redisUrl: string | undefined;
  readonly wakeUps: boolean;
  /** How long before their end keys are told, in ms. */
  readonly expiryLeadsMs: readonly number[];
  readonly masterKeyFile: string;
  /** Whether a missing master key file is made at the first start: only if its place wasn't chosen. */
  readonly makeMasterKey: boolean;
  readonly migrate: boolean;
  readonly trustedProxies: TrustedProxies;
  readonly callsMax: number | undefined;
  readonly reflection: boolean;
  /** Origins of the pages that may call, as a browser tells them. */
  readonly corsOrigins: readonly string[];
  readonly logLevel: LogLevel;
  /** undefined: no listener for metrics. */
  readonly metricsListen: ListenAddress | undefined;
  /** undefined: traces and metrics are sent nowhere. */
  readonly otlpEndpoint: string | undefined;
  readonly traceSampleRatio: number;
  /** undefined: cleartext. */
  readonly tls: ListenerTlsFiles | undefined;
  /** Which keys client certificates stand for. */
  readonly tlsClientKeys: readonly CertificateKey[];
  /** What was set, from which the rest is made: to compare with a later reading. */
  readonly given: Given<typeof serverSettings>;
}

const dayMs = 86_400_000;
const expiryLeadsMsDefault = [7 * dayMs, dayMs];

/** Reads the server's configuration: the environment over the file that it names. Rejects with ConfigError. */
export async function readServerConfig(env: Environment): Promise<ServerConfig> {
  const path = env[configFileVariable];
  return loadServerConfig(env, path ? await readConfigFile(path) : undefined);
}

/** Makes the server's configuration of an environment and a file that was read. Throws ConfigError with every fault. */
export function loadServerConfig(env: Environment, file?: ConfigFile): ServerConfig {
  const faults = new Faults();
  const given = collect(serverSettings, { env, file }, faults);
  const dataDir = resolve(given.dataDir ?? ".ichor");
  const databaseUrl = given.databaseUrl ?? `file:${resolve(dataDir, "ichor.db")}`;
  const { masterKeyFile } = given;
  if (parseDatabaseUrl(databaseUrl).provider !== "sqlite" && masterKeyFile === undefined) {
    // Replicas share one, and a key made in the folder of one of them would be lost with it.
    faults.add("ICHOR_MASTER_KEY_FILE is needed with a database server");
  }
  const tls = listenerTlsOf(serverSettings, given, faults);
  checkClientKeys(given, faults);
  faults.throwIfAny();
  return Object.freeze({
    dataDir,
    listen: given.listen ?? { host: "127.0.0.1", port: 8420 },
    workers: given.workers ?? 1,
    publicUrl: given.publicUrl,
    databaseUrl,
    redisUrl: given.redisUrl,
    wakeUps: given.wakeUps ?? true,
    expiryLeadsMs: given.expiryLeads ?? expiryLeadsMsDefault,
    masterKeyFile: resolve(masterKeyFile ?? resolve(dataDir, "master.key")),
    makeMasterKey: masterKeyFile === undefined,
    migrate: given.migrate ?? true,
    trustedProxies: {
      networks: given.trustedProxies ?? [],
      header: given.forwardedHeader ?? "x-forwarded-for",
    },
    callsMax: given.callsMax,
    reflection: given.reflection ?? true,
    corsOrigins: given.corsOrigins ?? [],
    logLevel: given.logLevel ?? "info",
    metricsListen: given.metricsListen,
    otlpEndpoint: given.otlpEndpoint,
    traceSampleRatio: given.traceSampleRatio ?? 1,
    tls,
    tlsClientKeys: given.tlsClientKeys ?? [],
    given: Object.freeze(given),
  });
}

/** The client certificates' part that the server alone has. */
function checkClientKeys({ tlsClientCaFile, tlsClientKeys }: Given<typeof serverSettings>, faults: Faults): void {
  if (tlsClientKeys === undefined) return;
  if (tlsClientCaFile === undefined) faults.add("ICHOR_TLS_CLIENT_KEYS needs ICHOR_TLS_CLIENT_CA_FILE");
  const names = tlsClientKeys.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) faults.add(`ICHOR_TLS_CLIENT_KEYS names ${twice} more than once`);
}
