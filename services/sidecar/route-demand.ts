import { IchorError } from "../core/errors.ts";
import { type GatewayRoutes, routeOf } from "../core/gateway-route.ts";
import type { DemandOf, RouteDemand } from "./gateway.ts";

/** What holds for a route that says nothing else. */
export type RouteDefaults = Pick<RouteDemand, "audience" | "credentialHeader" | "upstreamJwt">;

/** Headers by which some services take a request for another one than its gateway sees. */
const misleading: ReadonlySet<string> = new Set([
  ...["x-http-method", "x-http-method-override", "x-method-override"],
  ...["x-original-url", "x-rewrite-url"],
]);

/** The demand that the gateway's configuration makes with each question. */
export function demandBySettings(defaults: RouteDefaults): DemandOf {
  return ({ settings }) => {
    const valuesOf = (wanted: string) => settings.flatMap(([name, value]) => (name === wanted ? [value] : []));
    const stranger = settings.find(([name]) => name !== "scope" && name !== "audience");
    if (stranger !== undefined) throw new IchorError("INVALID_FIELD", "the route has more than scope and audience");
    const audiences = valuesOf("audience");
    if (audiences.length > 1) throw new IchorError("INVALID_FIELD", "the route has two audiences");
    const scopes = valuesOf("scope").flatMap((list) => list.split(" ").filter((scope) => scope !== ""));
    return { ...defaults, scopes, audience: audiences[0] ?? defaults.audience, credential: "required" };
  };
}

/** The demand of the first route that a request fits. The gateway's configuration says nothing then. */
export function demandByRoutes({ routes }: GatewayRoutes, defaults: RouteDefaults): DemandOf {
  return ({ settings, rawHeaders, askedFor }) => {
    if (settings.length > 0) throw new IchorError("INVALID_FIELD", "routes are in a file here, and in the question");
    const odd = rawHeaders.find(
      (name, i) => i % 2 === 0 && misleading.has(name.toLowerCase().replace(/[^a-z0-9]/g, "-")),
    );
    if (odd !== undefined) throw new IchorError("INVALID_FIELD", "a header asks for another path or method");
    const route = routeOf(routes, askedFor());
    if (route === undefined) return undefined;
    const { scopes, credential, audience, credentialHeader, upstreamJwt } = route;
    return {
      ...{ scopes, credential },
      audience: audience ?? defaults.audience,
      credentialHeader: credentialHeader ?? defaults.credentialHeader,
      upstreamJwt: upstreamJwt === "" ? undefined : (upstreamJwt ?? defaults.upstreamJwt),
    };
  };
}
