import { IchorError } from "./errors.ts";
import { loosePath, plainPath } from "./plain-path.ts";

/** From whom the client's request is known that a gateway asks about. */
export const requestSources = ["x-forwarded", "x-original"] as const;
export type RequestSource = (typeof requestSources)[number];

/** What becomes of a request without a credential, and whether one is looked for. */
export const credentialRules = ["required", "optional", "none"] as const;
export type CredentialRule = (typeof credentialRules)[number];

/** What is asked of the requests that it is for. */
export interface GatewayRoute {
  /** Lower case, without port; empty: any. */
  readonly hosts: readonly string[];
  /** The path, or that and all below it; decoded, see `plainPath`. */
  readonly path: { readonly is: string } | { readonly within: string };
  /** Empty: any. GET is HEAD, too. */
  readonly methods: readonly string[];
  readonly scopes: readonly string[];
  /** undefined: the side-car's own. */
  readonly audience: string | undefined;
  readonly credential: CredentialRule;
  /** Lower case; undefined: the side-car's own. */
  readonly credentialHeader: string | undefined;
  /** Whom the service's token is for; empty: it gets none; undefined: as the side-car says. */
  readonly upstreamJwt: string | undefined;
}

/** Routes in the order in which they are looked at. */
export interface GatewayRoutes {
  readonly requestFrom: RequestSource | undefined;
  readonly routes: readonly GatewayRoute[];
}

/** What a client asks a service for, as its gateway tells it. */
export interface AskedFor {
  readonly method: string;
  /** Empty: it isn't told. */
  readonly host: string;
  /** Path and query. */
  readonly target: string;
}

const hostForm = /^([a-z0-9._-]*[a-z0-9])\.?(?::\d{1,5})?$|^(\[[0-9a-f:.]+\])(?::\d{1,5})?$/;

/**
 * Gives the first route that a request fits; undefined: none, or it can't be said which one, since with a path that many
 * services take for the same it would fit another. Throws INVALID_FIELD for a request that a service behind a gateway may
 * see otherwise.
 */
export function routeOf(routes: readonly GatewayRoute[], asked: AskedFor): GatewayRoute | undefined {
  const path = plainPath(asked.target);
  if (path === undefined) throw new IchorError("INVALID_FIELD", "the path of the request can be read in several ways");
  if (!/^[A-Z][A-Z-]*$/.test(asked.method)) throw new IchorError("INVALID_FIELD", "the request has no method");
  const host = hostOf(asked.host);
  if (host === undefined && (asked.host !== "" || routes.some(({ hosts }) => hosts.length > 0)))
    throw new IchorError("INVALID_FIELD", "the request has no host");
  const fits = ({ hosts, methods }: GatewayRoute) =>
    (hosts.length === 0 || hosts.includes(host ?? "")) && (methods.length === 0 || methodFits(methods, asked.method));
  const candidates = routes.filter(fits);
  const route = candidates.find((each) => pathFits(each.path, path));
  const loosely = loosePath(path);
  return route === candidates.find((each) => pathFits(loosened(each.path), loosely)) ? route : undefined;
}

/** Whether every request that fits the second also fits the first, which is looked at before, perhaps loosely. */
export function hides(first: GatewayRoute, second: GatewayRoute): boolean {
  const hosts = first.hosts.length === 0 || (second.hosts.length > 0 && isWithin(second.hosts, first.hosts));
  const methods =
    first.methods.length === 0 ||
    (second.methods.length > 0 && second.methods.every((method) => methodFits(first.methods, method)));
  const [outer, inner] = [loosened(first.path), loosened(second.path)];
  const paths = "within" in inner ? "within" in outer && pathFits(outer, inner.within) : pathFits(outer, inner.is);
  return hosts && methods && paths;
}

/** Gives a host in lower case, without port and last dot; undefined: it is none. */
function hostOf(host: string): string | undefined {
  const [, name, address] = hostForm.exec(host.toLowerCase()) ?? [];
  return name ?? address;
}

function methodFits(methods: readonly string[], method: string): boolean {
  return methods.includes(method) || (method === "HEAD" && methods.includes("GET"));
}

function pathFits(wanted: GatewayRoute["path"], path: string): boolean {
  if ("is" in wanted) return path === wanted.is;
  const { within } = wanted;
  return path === within || path.startsWith(within.endsWith("/") ? within : `${within}/`);
}

function loosened(path: GatewayRoute["path"]): GatewayRoute["path"] {
  return "is" in path ? { is: loosePath(path.is) } : { within: loosePath(path.within) };
}

function isWithin(inner: readonly string[], outer: readonly string[]): boolean {
  return inner.every((each) => outer.includes(each));
}
