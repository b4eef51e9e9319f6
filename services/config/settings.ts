import { forwardedHeaders } from "../core/client-address.ts";
import {
  anyText,
  baseUrl,
  certificateKey,
  databaseUrl,
  dayOrHourSpan,
  integerBetween,
  listenAddress,
  listOf,
  network,
  oneOf,
  onOff,
  redisUrl,
  webOrigin,
} from "./kinds.ts";
import { setting } from "./setting.ts";
import { listenerTlsSettings, logSettings, telemetrySettings } from "./shared-settings.ts";

/** The server's settings: everything that the configuration file may hold, in the reference's order. */
export const serverSettings = {
  dataDir: setting(anyText, ".ichor", "Folder of the embedded store, `root.key` and `master.key`."),
  listen: setting(
    listenAddress,
    "127.0.0.1:8420",
    "Address of the listener, as `host:port` or `[ipv6]:port`; port 0: any free one.",
  ),
  workers: setting(
    integerBetween(1, 128),
    "1",
    "Processes that take calls on the one port; from 2 on another one watches over them. `--workers` goes before it.",
  ),
  publicUrl: setting(baseUrl, "from the listener", "Base URL of the issuer, `http://` or `https://`, without query."),
  databaseUrl: setting(
    databaseUrl,
    "SQLite in the data directory",
    "Where the store is: `file:PATH`, or `postgresql://`, `mysql://` or `cockroachdb://` with `user:password@host:port/database`; " +
      "the operating guide's page on databases tells its parameters.",
  ),
  masterKeyFile: setting(
    anyText,
    "`master.key` in the data directory, made at the first start; none with a database server",
    "File of the master keys: base64 of 32 bytes, one a line, the current one first; readable by its owner only.",
  ),
  migrate: setting(onOff, "on", "Whether `ichor serve` applies pending migrations: `on` or `off`."),
  redisUrl: setting(
    redisUrl,
    "none",
    "Redis through which servers of one store wake each other and share rate limits: `redis://` or, with TLS, `rediss://`.",
  ),
  wakeUps: setting(
    onOff,
    "on",
    "Whether servers of one store wake each other, by Redis or PostgreSQL's NOTIFY, instead of only looking every second: `on` or `off`.",
  ),
  trustedProxies: setting(
    listOf(network, 100),
    "none",
    "Networks of proxies that are believed when they say for whom they ask, in CIDR notation.",
  ),
  forwardedHeader: setting(
    oneOf(forwardedHeaders),
    "x-forwarded-for",
    "The header by which they say it: `x-forwarded-for` or `forwarded` (RFC 7239). They must set it, or append to it.",
  ),
  callsMax: setting(
    integerBetween(10, 1_000_000),
    "2000",
    "How many calls may wait for something at a time; one caller alone gets half of them.",
  ),
  reflection: setting(onOff, "on", "Whether the reflection services answer: `on` or `off`."),
  corsOrigins: setting(
    listOf(webOrigin, 100),
    "none",
    "Origins of web pages that may call, as `https://app.example.com`.",
    { reload: true },
  ),
  expiryLeads: setting(
    listOf(dayOrHourSpan, 4),
    "7d, 1d",
    "How long before its end the audit trail tells of a key (`ApiKeyExpiring`), once each; spans of days or hours.",
  ),
  ...logSettings,
  ...telemetrySettings,
  ...listenerTlsSettings,
  tlsClientKeys: setting(
    listOf(certificateKey, 1_000),
    "none: a certificate names no caller",
    "Which key a client certificate stands for that comes without a credential, as `URI:spiffe://prod/gateway=key_…` or " +
      "`DNS:gateway.internal=key_…`, by its subject alternative names.",
    { reload: true },
  ),
};

/** What client commands of the CLI read from the environment or a profile. */
export const clientSettings = {
  url: setting(baseUrl, "http://127.0.0.1:8420", "Base URL of the server."),
  credential: setting(anyText, "none", "The credential to call with; `ICHOR_CREDENTIAL_FILE` is safer."),
  credentialFile: setting(
    anyText,
    "`root.key` in the data directory",
    "File that holds the credential to call with; readable by its owner only.",
  ),
  tenant: setting(anyText, "the caller's own", "Tenant to act on, id or slug."),
};

/** The environment variable that names the configuration file of what is started, as `--config` does. */
export const configFileVariable = "ICHOR_CONFIG_FILE";

/** Names the profile of client commands. */
export const profileVariable = "ICHOR_PROFILE";
