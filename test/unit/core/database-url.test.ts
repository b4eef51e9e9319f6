import { describe, expect, it } from "vitest";
import { parseDatabaseUrl, placeOf } from "../../../services/core/database-url.ts";

describe("a database URL", () => {
  it.each([
    ["file:ichor.db", "ichor.db"],
    ["file:/var/lib/ichor.db", "/var/lib/ichor.db"],
    ["file:///var/lib/my%20ichor.db", "/var/lib/my ichor.db"],
  ])("names a file: %s", (text, path) => {
    expect(parseDatabaseUrl(text)).toEqual({ provider: "sqlite", path });
  });

  it.each([
    ["postgresql://ichor@localhost/ichor", { provider: "postgresql", port: 5432, tls: "disable" }],
    ["postgres://ichor@127.0.0.1:5433/ichor", { provider: "postgresql", port: 5433, tls: "disable" }],
    ["mysql://ichor@[::1]/ichor", { provider: "mysql", host: "::1", port: 3306, tls: "disable" }],
    ["cockroachdb://ichor@db.internal/ichor", { provider: "cockroachdb", port: 26257, tls: "verify-full" }],
    ["mysql://ichor@10.0.0.7/ichor?sslmode=require", { host: "10.0.0.7", tls: "require" }],
  ])("names a database on a server, with TLS unless it is this machine: %s", (text, parts) => {
    expect(parseDatabaseUrl(text)).toMatchObject({ user: "ichor", password: "", database: "ichor", ...parts });
  });

  it("has its credentials percent-encoded", () => {
    const target = parseDatabaseUrl("postgresql://a%40b:p%2Fw%3A@localhost/ichor");
    expect(target).toMatchObject({ user: "a@b", password: "p/w:" });
  });

  it("takes certificates and a bound of connections", () => {
    const text = "postgresql://u@db/ichor?sslrootcert=/ca.pem&sslcert=/c.pem&sslkey=/k.pem&connection_limit=20";
    expect(parseDatabaseUrl(text)).toMatchObject({
      tls: "verify-full",
      caFile: "/ca.pem",
      certFile: "/c.pem",
      keyFile: "/k.pem",
      connectionsMax: 20,
    });
  });

  it.each([
    ["ichor.db", /^must begin with file:/],
    ["mongodb://secret@db/ichor", /^must begin with file:/],
    ["file:", /^must name a database file/],
    ["file::memory:", /^must name a database file/],
    ["file:ichor.db?mode=ro", /without parameters/],
    ["file://elsewhere/ichor.db", /^must name a file of this machine/],
    ["postgresql://u:secret@localhost", /host and a database/],
    ["postgresql://u:secret@localhost/a/b", /host and a database/],
    ["postgresql://localhost/ichor", /^must name a user/],
    ["postgresql://u:%zzsecret@localhost/ichor", /percent-encoded/],
    ["postgresql://u:secret@localhost/ichor?options=-c", /no other parameters/],
    ["postgresql://u:secret@localhost/ichor?sslmode=disable&sslmode=require", /each once/],
    ["postgresql://u:secret@localhost/ichor?sslmode=prefer", /sslmode of disable, require/],
    ["postgresql://u:secret@db/ichor?sslcert=/c.pem", /sslcert and sslkey together/],
    ["postgresql://u:secret@localhost/ichor?sslrootcert=/ca.pem", /sslmode other than disable/],
    ["postgresql://u:secret@localhost/ichor?connection_limit=2", /from 3 to 200/],
    ["postgresql://u:secret@localhost/ichor?connection_limit=1e2", /from 3 to 200/],
  ])("is refused without being quoted: %s", (text, message) => {
    const parse = () => parseDatabaseUrl(text);
    expect(parse).toThrow(RangeError);
    expect(parse).toThrow(message);
    expect(parse).not.toThrow(/secret/);
  });

  it("is told without its credentials", () => {
    expect(placeOf(parseDatabaseUrl("mysql://u:secret@[::1]:3307/ichor?connection_limit=5"))).toBe(
      "mysql://[::1]:3307/ichor",
    );
    expect(placeOf(parseDatabaseUrl("file:ichor.db"))).toBe("file:ichor.db");
  });
});
