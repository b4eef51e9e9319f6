import type { StoreLog } from "./deps.ts";
import { StoreStartError } from "./start-error.ts";

/** What a database's settings mean for what was acknowledged. */
export interface Durability {
  /** Acknowledged changes may be lost when a process of the database is killed, or changes can't be made at all. */
  readonly refused: readonly string[];
  /** They may be lost when the machine fails, or at a fail-over. */
  readonly reported: readonly string[];
}

export type DatabaseSettings = Readonly<Record<string, string | undefined>>;

/** PostgreSQL's settings of a session, by name. */
export const postgresSettingNames = [
  "fsync",
  "full_page_writes",
  "synchronous_commit",
  "synchronous_standby_names",
  "server_version_num",
  "in_recovery",
];

export function postgresDurability(settings: DatabaseSettings): Durability {
  const commit = settings.synchronous_commit;
  const standbys = settings.synchronous_standby_names !== "";
  return verdict(
    [
      [Number(settings.server_version_num) < 140_000, "PostgreSQL must be of version 14 or later"],
      [settings.in_recovery === "on", "the server is a standby, which can't be written to"],
      [commit === "off", "synchronous_commit is off: set it to on for this user or database"],
    ],
    [
      [settings.fsync === "off", "fsync is off: a failure of the machine may destroy the database"],
      [
        settings.full_page_writes === "off",
        "full_page_writes is off: a failure of the machine may damage the database",
      ],
      [
        standbys && (commit === "local" || commit === "remote_write"),
        `synchronous_commit is ${commit}: a fail-over may lose changes that were acknowledged`,
      ],
    ],
  );
}

/** MySQL's and MariaDB's variables, by name. */
export const mysqlSettingNames = [
  "version",
  "innodb_flush_log_at_trx_commit",
  "innodb_doublewrite",
  "log_bin",
  "binlog_format",
  "sync_binlog",
  "read_only",
  "sql_mode",
];

export function mysqlDurability(settings: DatabaseSettings): Durability {
  const { version = "", innodb_flush_log_at_trx_commit: flush, log_bin: logged } = settings;
  return verdict(
    [
      [!isSupportedMysql(version), "the server must be MariaDB 10.6 or MySQL 8.0.17, or later"],
      [settings.read_only === "ON", "the server is read-only"],
      [
        !/STRICT_(TRANS|ALL)_TABLES/.test(settings.sql_mode ?? ""),
        "sql_mode isn't strict: values that don't fit would be cut",
      ],
      [flush === "0", "innodb_flush_log_at_trx_commit is 0: set it to 1"],
      [logged === "ON" && settings.binlog_format === "STATEMENT", "binlog_format is STATEMENT: set it to ROW"],
    ],
    [
      [
        flush === "2",
        "innodb_flush_log_at_trx_commit is 2: a failure of the machine may lose changes of the last second",
      ],
      [
        settings.innodb_doublewrite === "OFF",
        "innodb_doublewrite is off: a failure of the machine may damage the database",
      ],
      [
        logged === "ON" && settings.sync_binlog !== "1",
        "sync_binlog isn't 1: a fail-over may lose changes that were acknowledged",
      ],
    ],
  );
}

function isSupportedMysql(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split(/[.-]/).map(Number);
  const least = /mariadb/i.test(version) ? [10, 6, 0] : [8, 0, 17];
  const [leastMajor = 0, leastMinor = 0, leastPatch = 0] = least;
  if (major !== leastMajor) return major > leastMajor;
  return minor !== leastMinor ? minor > leastMinor : patch >= leastPatch;
}

/** Throws StoreStartError if the settings are refused; logs what is to be reported. */
export function judgeDurability(place: string, { refused, reported }: Durability, log: StoreLog): void {
  if (refused.length > 0) throw new StoreStartError(`the database ${place} can't be used: ${refused.join("; ")}`);
  for (const setting of reported) log.error({ database: place, setting }, "the database's settings are weak");
}

type Finding = readonly [holds: boolean, text: string];

function verdict(refused: readonly Finding[], reported: readonly Finding[]): Durability {
  const those = (findings: readonly Finding[]) => findings.filter(([holds]) => holds).map(([, text]) => text);
  return { refused: those(refused), reported: those(reported) };
}
