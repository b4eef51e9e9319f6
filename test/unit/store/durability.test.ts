import { describe, expect, it } from "vitest";
import { judgeDurability, mysqlDurability, postgresDurability } from "../../../services/store/durability.ts";

const postgres = {
  fsync: "on",
  full_page_writes: "on",
  synchronous_commit: "on",
  synchronous_standby_names: "",
  server_version_num: "150020",
  in_recovery: "off",
};
const mysql = {
  version: "10.11.19-MariaDB-0+deb12u1",
  innodb_flush_log_at_trx_commit: "1",
  innodb_doublewrite: "ON",
  log_bin: "ON",
  binlog_format: "ROW",
  sync_binlog: "1",
  read_only: "OFF",
  sql_mode: "STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION",
};

describe("settings of PostgreSQL", () => {
  it("are sound as they come", () => {
    expect(postgresDurability(postgres)).toEqual({ refused: [], reported: [] });
    expect(postgresDurability({ ...postgres, synchronous_commit: "local" }).reported).toEqual([]);
  });

  it.each([
    [{ synchronous_commit: "off" }, /synchronous_commit is off/],
    [{ in_recovery: "on" }, /standby/],
    [{ server_version_num: "130014" }, /version 14/],
  ])("are refused where a killed process loses what was acknowledged: %o", (change, message) => {
    expect(postgresDurability({ ...postgres, ...change }).refused).toEqual([expect.stringMatching(message)]);
  });

  it.each([
    [{ fsync: "off" }, /fsync is off/],
    [{ full_page_writes: "off" }, /full_page_writes is off/],
    [{ synchronous_commit: "remote_write", synchronous_standby_names: "*" }, /fail-over/],
  ])("are reported where a machine that fails does: %o", (change, message) => {
    const { refused, reported } = postgresDurability({ ...postgres, ...change });
    expect(refused).toEqual([]);
    expect(reported).toEqual([expect.stringMatching(message)]);
  });
});

describe("settings of MySQL and MariaDB", () => {
  it.each(["10.6.0-MariaDB", "11.4.2-MariaDB-log", "8.0.17", "8.4.1", "9.0.0"])("are sound on %s", (version) => {
    expect(mysqlDurability({ ...mysql, version })).toEqual({ refused: [], reported: [] });
  });

  it.each([
    [{ version: "10.5.20-MariaDB" }, /10\.6/],
    [{ version: "8.0.16" }, /8\.0\.17/],
    [{ version: "5.7.44" }, /8\.0\.17/],
    [{ innodb_flush_log_at_trx_commit: "0" }, /innodb_flush_log_at_trx_commit is 0/],
    [{ binlog_format: "STATEMENT" }, /binlog_format/],
    [{ read_only: "ON" }, /read-only/],
    [{ sql_mode: "ANSI_QUOTES" }, /strict/],
  ])(
    "are refused where a killed process loses what was acknowledged, or nothing can be written: %o",
    (change, message) => {
      expect(mysqlDurability({ ...mysql, ...change }).refused).toEqual([expect.stringMatching(message)]);
    },
  );

  it.each([
    [{ innodb_flush_log_at_trx_commit: "2" }, /is 2/],
    [{ innodb_doublewrite: "OFF" }, /doublewrite/],
    [{ sync_binlog: "0" }, /sync_binlog/],
  ])("are reported where a machine that fails does: %o", (change, message) => {
    const { refused, reported } = mysqlDurability({ ...mysql, ...change });
    expect(refused).toEqual([]);
    expect(reported).toEqual([expect.stringMatching(message)]);
  });
});

describe("judging settings", () => {
  it("stops the start, or tells the log", () => {
    const told: object[] = [];
    const log = { info() {}, error: (fields: object) => void told.push(fields) };
    judgeDurability("mysql://db/ichor", { refused: [], reported: ["a", "b"] }, log);
    expect(told).toEqual([
      { database: "mysql://db/ichor", setting: "a" },
      { database: "mysql://db/ichor", setting: "b" },
    ]);
    expect(() => judgeDurability("mysql://db/ichor", { refused: ["x", "y"], reported: [] }, log)).toThrow(
      "the database mysql://db/ichor can't be used: x; y",
    );
  });
});
