import fc from "fast-check";
import { expect, it } from "vitest";
import { type GatewayRoute, routeOf } from "../../services/core/gateway-route.ts";

const none = {
  hosts: [],
  methods: [],
  audience: undefined,
  credential: "required",
  credentialHeader: undefined,
  upstreamJwt: undefined,
} as const;
const guarded: GatewayRoute = { ...none, path: { within: "/admin" }, scopes: ["admin"] };
const open: GatewayRoute = { ...none, path: { within: "/" }, scopes: [] };

/** How a service behind a gateway may come from what is written to the path that it serves. */
const readings: readonly ((path: string) => string)[] = [
  (path) => path.replace(/%([0-9a-f]{2})/gi, (_, hex) => String.fromCharCode(Number.parseInt(hex, 16))),
  (path) => path.toLowerCase(),
  (path) => path.toUpperCase().toLowerCase(),
  (path) => path.normalize("NFKC"),
  (path) => path.replaceAll("\\", "/"),
  (path) => path.replace(/;[^/]*/g, ""),
  (path) => path.replace(/\/{2,}/g, "/"),
  (path) => path.replace(/[. \0]+(?=\/|$)/g, ""),
  (path) => path.split(/[?#\0]/)[0] ?? "",
  (path) => {
    const { pathname } = new URL(`http://x${path.startsWith("/") ? path : `/${path}`}`);
    return pathname;
  },
];

const piece = fc.constantFrom(
  ...["admin", "Admin", "ADMIN", "adm%69n", "%61dmin", "adm%2569n", "admin%00", "admin.", "admin%20", "adm%C4%B1n"],
  ...[
    "/",
    "//",
    "\\",
    "%2f",
    "%5c",
    "%252f",
    "/./",
    "/../",
    "/..;/",
    "/.;/",
    "%2e%2e",
    "..",
    ".",
    "%EF%BC%8E",
    "%EF%BC%8F",
  ],
  ...["a", "public", ";x=y", "%3b", "?", "%3f", "#", "%23", "*", "http://x", " ", "%09", "\u00e4"],
);

it("lets nothing reach a guarded path that is judged as another, however the service reads it", () => {
  let judged = 0;
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 6 }).map((pieces) => `/${pieces.join("")}`),
      fc.array(fc.nat(readings.length - 1), { maxLength: 5 }),
      (target, order) => {
        let found: GatewayRoute | undefined;
        try {
          found = routeOf([guarded, open], { method: "GET", host: "", target });
        } catch {
          return;
        }
        if (found !== open) return;
        judged++;
        const served = order.reduce((path, i) => readings[i]?.(path) ?? path, target.split("?")[0] ?? "");
        expect(served === "/admin" || served.startsWith("/admin/"), `${target} is served as ${served}`).toBe(false);
      },
    ),
    { numRuns: 20_000, seed: 27 },
  );
  expect(judged).toBeGreaterThan(500);
});
