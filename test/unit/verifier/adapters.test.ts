import { createServer } from "node:http";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import fastify, { type FastifyRequest } from "fastify";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { callerKey, verifierInterceptor } from "../../../services/verifier/adapters/connect.ts";
import { requireCredential, type VerifiedRequest } from "../../../services/verifier/adapters/express.ts";
import { ichorVerifier } from "../../../services/verifier/adapters/fastify.ts";
import { VerifierUnavailableError } from "../../../services/verifier/unavailable-error.ts";
import type { VerifyDemand, VerifyResult } from "../../../services/verifier/verify-result.ts";

/** Codes by the credential's text. */
const codes = {
  good: "VALID",
  narrow: "INSUFFICIENT_SCOPE",
  elsewhere: "IP_NOT_ALLOWED",
  soon: "RATE_LIMITED",
  never: "RATE_LIMITED",
  gone: "REVOKED",
} as const;

/** Answers by the credential's text, and notes what was demanded. */
class FakeVerifier {
  readonly demands: VerifyDemand[] = [];

  async verify(credential: string, demand: VerifyDemand = {}): Promise<VerifyResult> {
    this.demands.push(demand);
    if (credential === "stale") throw new VerifierUnavailableError("STALE", "too old");
    if (credential === "bug") throw new Error("a bug");
    const code = codes[credential as keyof typeof codes];
    const limit = { name: "l", limit: 1, remaining: 0 };
    return {
      ...{ valid: code === "VALID", code, revision: 1n, age: 0 },
      ...(code === "VALID" && { ownerId: "acme" }),
      ...(credential === "soon" && { rateLimits: [limit, { ...limit, retryTime: new Date(Date.now() + 3_600_000) }] }),
      ...(credential === "never" && { rateLimits: [limit] }),
    };
  }
}

type Headers = Readonly<Record<string, string>>;
interface Told {
  readonly status: number;
  readonly code?: string | undefined;
  readonly challenge?: string | null | undefined;
  readonly retryAfter?: string | null | undefined;
}

const demand = { scopes: ["invoices:read"] };
const invalid = 'Bearer error="invalid_token"';
const insufficient = 'Bearer error="insufficient_scope", scope="invoices:read"';
const ambiguous = 'Bearer error="invalid_request"';
const outcomes: readonly (readonly [string, Headers, Told])[] = [
  ["no credential", {}, { status: 401, code: "MISSING", challenge: "Bearer" }],
  ["another scheme", { authorization: "Basic eDp5" }, { status: 401, code: "MISSING", challenge: "Bearer" }],
  ["a revoked one", { authorization: "Bearer gone" }, { status: 401, code: "REVOKED", challenge: invalid }],
  ["a revoked key", { "x-api-key": "gone" }, { status: 401, code: "REVOKED", challenge: invalid }],
  ["too few scopes", { authorization: "Bearer narrow" }, { status: 403, code: codes.narrow, challenge: insufficient }],
  ["another network", { "x-api-key": "elsewhere" }, { status: 403, code: codes.elsewhere, challenge: insufficient }],
  ["a limit that is used up", { "x-api-key": "soon" }, { status: 429, code: "RATE_LIMITED", retryAfter: "3600" }],
  ["a limit that is too small", { "x-api-key": "never" }, { status: 429, code: "RATE_LIMITED" }],
  ["what can't be told", { authorization: "Bearer stale" }, { status: 503, code: "STALE" }],
  [
    "two credentials",
    { authorization: "Bearer good", "x-api-key": "good" },
    { status: 400, code: "INVALID_FIELD", challenge: ambiguous },
  ],
  [
    "two keys in one header",
    { "x-api-key": "good, good" },
    { status: 400, code: "INVALID_FIELD", challenge: ambiguous },
  ],
  ["two words", { authorization: "Bearer good good" }, { status: 400, code: "INVALID_FIELD", challenge: ambiguous }],
  ["no word", { authorization: "Bearer" }, { status: 400, code: "INVALID_FIELD", challenge: ambiguous }],
];
const passing: readonly Headers[] = [{ authorization: "bearer  good " }, { "x-api-key": "good" }];

/** A second is over between the answer and the look at it, or not. */
function expectTold({ retryAfter, ...told }: Told, { retryAfter: wanted, ...expected }: Told): void {
  expect(told).toEqual({ challenge: null, ...expected });
  expect(Math.abs(Number(retryAfter ?? 0) - Number(wanted ?? 0))).toBeLessThanOrEqual(60);
  expect(retryAfter === null || retryAfter === undefined).toBe(wanted === undefined);
}

describe("the Express-style middleware", () => {
  const verifier = new FakeVerifier();
  const guard = requireCredential(verifier, demand);
  const server = createServer((request, response) => {
    guard(request, response, (error) => {
      response.statusCode = error === undefined ? 200 : 500;
      response.end((request as VerifiedRequest).ichor?.ownerId);
    });
  });
  let url: string;
  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
  });
  afterAll(() => void server.close());

  it.each(passing)("lets a good credential pass, and says who called: %j", async (headers) => {
    const response = await fetch(url, { headers });
    expect([response.status, await response.text()]).toEqual([200, "acme"]);
    expect(verifier.demands.at(-1)).toEqual(demand);
  });

  it.each(outcomes)("refuses %s", async (_, headers, told) => {
    const response = await fetch(url, { headers });
    const { code } = (await response.json()) as { code: string };
    const [challenge, retryAfter] = ["www-authenticate", "retry-after"].map((name) => response.headers.get(name));
    expectTold({ status: response.status, code, challenge, retryAfter }, told);
  });

  it("hands faults on", async () => {
    expect((await fetch(url, { headers: { authorization: "Bearer bug" } })).status).toBe(500);
  });
});

describe("the Fastify plugin", () => {
  const app = fastify();
  beforeAll(async () => {
    await app.register(ichorVerifier, {
      verifier: new FakeVerifier(),
      demandOf: ({ method }: FastifyRequest) => (method === "GET" ? demand : {}),
    });
    app.get("/", async (request) => (request as { ichor?: VerifyResult }).ichor?.ownerId);
    await app.ready();
  });
  afterAll(() => app.close());

  it.each(passing)("lets a good credential pass, and says who called: %j", async (headers) => {
    const { statusCode, body } = await app.inject({ url: "/", headers });
    expect([statusCode, body]).toEqual([200, "acme"]);
  });

  it.each(outcomes)("refuses %s", async (_, headers, told) => {
    const response = await app.inject({ url: "/", headers });
    const [challenge = null, retryAfter] = ["www-authenticate", "retry-after"].map((name) => {
      return response.headers[name] as string | undefined;
    });
    expectTold({ status: response.statusCode, code: response.json().code, challenge, retryAfter }, told);
  });
});

describe("the Connect interceptor", () => {
  const seen: unknown[] = [];
  const transport = createRouterTransport(
    ({ service }) =>
      service(Health, {
        check: (_, { values }) => {
          seen.push(values.get(callerKey)?.ownerId);
          return {};
        },
      }),
    { router: { interceptors: [verifierInterceptor(new FakeVerifier(), () => demand)] } },
  );
  const call = (headers: Headers) => createClient(Health, transport).check({}, { headers });

  it.each(passing)("lets a good credential pass, and says who called: %j", async (headers) => {
    await call(headers);
    expect(seen.at(-1)).toBe("acme");
  });

  it.each(outcomes)("refuses %s", async (_, headers, told) => {
    const status = { 400: 3, 401: 16, 403: 7, 429: 8, 503: 14 }[told.status];
    const error = await call(headers).catch((thrown) => thrown);
    const [challenge, retryAfter] = ["www-authenticate", "retry-after"].map((name) => error.metadata.get(name));
    const code = /^the credential was refused: (\w+)$/.exec(error.rawMessage)?.[1];
    expectTold({ status: error.code, code, challenge, retryAfter }, { ...told, status: status ?? 0 });
  });
});
