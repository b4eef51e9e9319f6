import { describe, expect, it } from "vitest";
import { IchorError } from "../../../services/core/errors.ts";
import { type AskedFor, type GatewayRoute, hides, routeOf } from "../../../services/core/gateway-route.ts";

const route = (path: string, more: Partial<GatewayRoute> = {}): GatewayRoute => ({
  path: path.endsWith("*") ? { within: path.slice(0, -2) || "/" } : { is: path },
  ...{
    hosts: [],
    methods: [],
    scopes: [],
    audience: undefined,
    credential: "required",
    credentialHeader: undefined,
    upstreamJwt: undefined,
  },
  ...more,
});
const asked = (target: string, more: Partial<AskedFor> = {}): AskedFor => ({
  ...{ method: "GET", host: "api.example" },
  ...{ target, ...more },
});

describe("routeOf", () => {
  const admin = route("/admin/*", { scopes: ["admin"] });
  const write = route("/invoices/*", { methods: ["POST", "PUT"], scopes: ["invoices:write"] });
  const read = route("/invoices/*", { methods: ["GET"], scopes: ["invoices:read"] });
  const exact = route("/report", { scopes: ["report"] });
  const rest = route("/*");
  const routes = [admin, write, read, exact, rest];
  const find = (...args: Parameters<typeof asked>) => routeOf(routes, asked(...args));

  it("gives the first that fits by path and method", () => {
    expect(find("/admin")).toBe(admin);
    expect(find("/admin/users?x")).toBe(admin);
    expect(find("/adminx")).toBe(rest);
    expect(find("/invoices/1", { method: "POST" })).toBe(write);
    expect(find("/invoices/1")).toBe(read);
    expect(find("/invoices/1", { method: "HEAD" })).toBe(read);
    expect(find("/invoices/1", { method: "DELETE" })).toBe(rest);
    expect(find("/report")).toBe(exact);
    expect(find("/report/x")).toBe(rest);
  });

  it.each(["/Admin", "/ADMIN/users", "/Report", "/report/", "/%EF%BD%81dmin/users"])(
    "gives none for %s, which some services take for one that another route guards",
    (target) => {
      expect(find(target)).toBeUndefined();
    },
  );

  it("gives none where no route fits", () => {
    expect(routeOf([admin], asked("/other"))).toBeUndefined();
    expect(routeOf([], asked("/"))).toBeUndefined();
  });

  it("knows hosts without case, port and last dot, and asks for one if a route does", () => {
    const inner = route("/*", { hosts: ["inner.example", "[::1]"], scopes: ["inner"] });
    for (const host of ["inner.example", "INNER.example:8443", "inner.example.", "inner.example.:80", "[::1]:80"])
      expect(routeOf([inner, rest], asked("/", { host }))).toBe(inner);
    expect(routeOf([inner, rest], asked("/", { host: "other.example" }))).toBe(rest);
    for (const host of ["", "inner.example..", "a@inner.example", "inner.example:80:80", "a, b", "x/y"])
      expect(() => routeOf([inner, rest], asked("/", { host }))).toThrow(IchorError);
    expect(routeOf([rest], asked("/", { host: "" }))).toBe(rest);
  });

  it.each([
    ["a path that can be read in several ways", asked("/invoices/../admin")],
    ["a method in small letters", asked("/", { method: "get" })],
    ["no method", asked("/", { method: "" })],
    ["two methods", asked("/", { method: "GET, POST" })],
  ])("throws for %s", (_, what) => {
    expect(() => routeOf(routes, what)).toThrow(expect.objectContaining({ reason: "INVALID_FIELD" }));
  });
});

it.each([
  [true, route("/a/*"), route("/a/b")],
  [true, route("/a/*"), route("/A/*", { methods: ["GET"], hosts: ["x"] })],
  [true, route("/a"), route("/a/")],
  [true, route("/a", { methods: ["GET"] }), route("/a", { methods: ["HEAD"] })],
  [false, route("/a"), route("/a/*")],
  [false, route("/a/*"), route("/ab")],
  [false, route("/a/*", { methods: ["GET"] }), route("/a/b")],
  [false, route("/a/*", { hosts: ["x"] }), route("/a/b", { hosts: ["x", "y"] })],
])("hides is %s for %j before %j", (hidden, first, second) => {
  expect(hides(first, second)).toBe(hidden);
});
