import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { Faults } from "../../../services/config/collect.ts";
import { readRoutesFile } from "../../../services/config/routes-file.ts";
import { temporaryFolder } from "../../support/server-process.ts";

const folder = temporaryFolder("routes");
afterAll(folder.remove);
const path = join(folder.path, "routes.yaml");

async function read(text: string) {
  writeFileSync(path, text);
  const faults = new Faults();
  const routes = await readRoutesFile(path, faults);
  let told: readonly string[] = [];
  try {
    faults.throwIfAny();
  } catch (error) {
    told = (error as { faults: readonly string[] }).faults.map((fault) => fault.replaceAll(path, "FILE"));
  }
  return { routes, faults: told };
}

it("reads what routes ask for, with what holds where nothing is said", async () => {
  const text = `
requestFrom: x-original
routes:
  - hosts: [api.example]
    path: /a%20b
    methods: [GET, POST]
    scopes: [a, b:c]
    audience: https://api.example
    credential: optional
    credentialHeader: X-Token
    upstreamJwt: https://inner.example
  - pathPrefix: /public/
    credential: none
    upstreamJwt: false
`;
  const { routes, faults } = await read(text);
  expect(faults).toEqual([]);
  expect(routes).toEqual({
    requestFrom: "x-original",
    routes: [
      {
        ...{ hosts: ["api.example"], path: { is: "/a b" }, methods: ["GET", "POST"], scopes: ["a", "b:c"] },
        ...{ audience: "https://api.example", credential: "optional", credentialHeader: "x-token" },
        upstreamJwt: "https://inner.example",
      },
      {
        ...{ hosts: [], path: { within: "/public" }, methods: [], scopes: [], audience: undefined },
        ...{ credential: "none", credentialHeader: undefined, upstreamJwt: "" },
      },
    ],
  });
  const json = JSON.stringify({ routes: [{ path: "/" }] });
  expect((await read(json)).routes.routes).toMatchObject([{ path: { is: "/" }, credential: "required" }]);
});

it("tells all faults at once, each by its place", async () => {
  const { faults } = await read(`
requestfrom: x-original
requestFrom: both
routes:
  - pathPrefix: /
    path: /a
  - path: /a/../b
    methods: [get]
    scopes: ["a:*", 7]
    hosts: [API.example, "a:80"]
    audience: two words
    credential: maybe
    credentialHeader: "X Token"
    scope: a
  - just text
  - path: /health
    credential: none
    scopes: [a]
  - pathPrefix: /b
    methods: []
  - pathPrefix: /B/c
`);
  expect(faults).toEqual([
    "FILE: requestfrom is no name in a file of routes",
    "FILE: requestFrom must be one of x-forwarded, x-original",
    "FILE: routes[0] must have either path or pathPrefix",
    "FILE: routes[1].scope is no name in a route",
    expect.stringMatching(/^FILE: routes\[1\]\.path must be a path that can be read in one way/),
    "FILE: routes[1].credential must be one of required, optional, none",
    expect.stringMatching(/^FILE: routes\[1\]\.hosts\[0\] must be a host/),
    expect.stringMatching(/^FILE: routes\[1\]\.hosts\[1\] must be a host/),
    expect.stringMatching(/^FILE: routes\[1\]\.methods\[0\] must be a method/),
    "FILE: routes[1].scopes[0] is not a scope, or is a pattern",
    "FILE: routes[1].scopes[1] is not a scope, or is a pattern",
    expect.stringMatching(/^FILE: routes\[1\]\.audience must be/),
    expect.stringMatching(/^FILE: routes\[1\]\.credentialHeader must be/),
    "FILE: routes[2] must be a map",
    "FILE: routes[3] asks for no credential, and something of it",
    "FILE: routes[4].methods must be a list of up to 100, and not empty",
    "FILE: routes[5] is never looked at: routes[4] has all that it has",
  ]);
});

it.each([
  ["nothing", "", /routes must be a list/],
  ["no route", "routes: []", /routes must be a list/],
  ["a route twice", "routes:\n  - path: /a\n  - path: /a", /routes\[1\] is never looked at/],
  ["a name twice", "routes: [{path: /a, path: /b}]", /line 1/],
  ["an alias", "routes: [&a {path: /a}, *a]", /alias/],
])("refuses a file with %s", async (_, text, fault) => {
  expect((await read(text)).faults.join("\n")).toMatch(fault);
});

it("has no fault in the example", async () => {
  const faults = new Faults();
  const example = new URL("../../../docs/examples/gateways/routes.yaml", import.meta.url).pathname;
  const { routes } = await readRoutesFile(example, faults);
  faults.throwIfAny();
  expect(routes.length).toBeGreaterThan(3);
});
