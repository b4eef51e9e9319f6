import {
  credentialRules,
  type GatewayRoute,
  type GatewayRoutes,
  hides,
  requestSources,
} from "../core/gateway-route.ts";
import { plainPath } from "../core/plain-path.ts";
import { isScope } from "../core/scopes.ts";
import { attempt, type Faults } from "./collect.ts";
import { readConfigFile } from "./config-file.ts";
import { audience, headerName, oneOf } from "./kinds.ts";

const names = ["requestFrom", "routes"];
const routeNames = [
  ...["hosts", "path", "pathPrefix", "methods"],
  ...["scopes", "audience", "credential", "credentialHeader", "upstreamJwt"],
];
const scopesMax = 32;

const hostText = textOf(
  (text) => /^[a-z0-9._-]*[a-z0-9]$|^\[[0-9a-f:.]+\]$/.test(text),
  "must be a host in lower case, without port",
);
const methodText = textOf((text) => /^[A-Z][A-Z-]*$/.test(text), "must be a method in capitals, as GET");
const scopeText = textOf(isScope, "is not a scope, or is a pattern");
const pathText = textOf(
  (text) => plainPath(text) !== undefined && !text.includes("?"),
  "must be a path that can be read in one way: no //, no dot segments, no ; and nothing encoded that needn't be",
);

/** Reads what gateways' routes ask of requests. What is wrong goes to `faults`, all of it; then what is given is no use. */
export async function readRoutesFile(path: string, faults: Faults): Promise<GatewayRoutes> {
  const file = await readConfigFile(path);
  for (const fault of file.faults) faults.add(fault);
  if (file.faults.length > 0) return { requestFrom: undefined, routes: [] };
  for (const name of file.values.keys()) {
    if (!names.includes(name)) faults.add(`${path}: ${name} is no name in a file of routes`);
  }
  const source = file.values.get("requestFrom");
  const requestFrom =
    source === undefined
      ? undefined
      : attempt(`${path}: requestFrom`, () => oneOf(requestSources).fromFile(source), faults);
  const list = file.values.get("routes");
  if (!Array.isArray(list) || list.length === 0) faults.add(`${path}: routes must be a list of at least one route`);
  const routes = (Array.isArray(list) ? list : []).map((each, i) => routeIn(each, `${path}: routes[${i}]`, faults));
  routes.forEach((route, i) => {
    const before = routes
      .slice(0, i)
      .findIndex((each) => each !== undefined && route !== undefined && hides(each, route));
    if (before >= 0) faults.add(`${path}: routes[${i}] is never looked at: routes[${before}] has all that it has`);
  });
  return { requestFrom, routes: routes.filter((route) => route !== undefined) };
}

/** undefined: its path isn't known. */
function routeIn(value: unknown, at: string, faults: Faults): GatewayRoute | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    faults.add(`${at} must be a map`);
    return undefined;
  }
  const given = value as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(given)) {
    if (!routeNames.includes(name)) faults.add(`${at}.${name} is no name in a route`);
  }
  const read = <T>(name: string, of: (value: unknown) => T): T | undefined =>
    given[name] === undefined ? undefined : attempt(`${at}.${name}`, () => of(given[name]), faults);
  const listOf = (name: string, of: (value: unknown) => string, min: 0 | 1, max: number): readonly string[] => {
    const list = given[name];
    if (list === undefined) return [];
    if (!Array.isArray(list) || list.length < min || list.length > max) {
      faults.add(`${at}.${name} must be a list of up to ${max}${min === 0 ? "" : ", and not empty"}`);
      return [];
    }
    return list.flatMap((each, i) => attempt(`${at}.${name}[${i}]`, () => of(each), faults) ?? []);
  };
  const [is, within] = [read("path", pathText), read("pathPrefix", pathText)];
  if ((given.path === undefined) === (given.pathPrefix === undefined)) {
    faults.add(`${at} must have either path or pathPrefix`);
  }
  const credential = read("credential", oneOf(credentialRules).fromFile) ?? "required";
  const route = {
    hosts: listOf("hosts", hostText, 1, 100),
    methods: listOf("methods", methodText, 1, 100),
    scopes: listOf("scopes", scopeText, 0, scopesMax),
    audience: read("audience", audience.fromFile),
    credential,
    credentialHeader: read("credentialHeader", headerName.fromFile),
    upstreamJwt: read("upstreamJwt", (value) => (value === false ? "" : audience.fromFile(value))),
  };
  if (credential === "none" && (route.scopes.length > 0 || route.audience !== undefined)) {
    faults.add(`${at} asks for no credential, and something of it`);
  }
  const decoded = plainPath(is ?? within ?? "");
  if (decoded === undefined) return undefined;
  return { ...route, path: is === undefined ? { within: withoutLastSlash(decoded) } : { is: decoded } };
}

function withoutLastSlash(path: string): string {
  return path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path;
}

function textOf(holds: (text: string) => boolean, sentence: string): (value: unknown) => string {
  return (value) => {
    if (typeof value !== "string" || !holds(value)) throw new RangeError(sentence);
    return value;
  };
}
