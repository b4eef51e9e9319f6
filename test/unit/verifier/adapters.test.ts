import { createServer } from "node:http";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { callerKey, verifierInterceptor } from "../../../services/verifier/adapters/connect.ts";
import { requireToken, type VerifiedRequest } from "../../../services/verifier/adapters/express.ts";
import { ichorVerifier } from "../../../services/verifier/adapters/fastify.ts";
import { VerifierUnavailableError } from "../../../services/verifier/unavailable-error.ts";
import type { VerifyDemand, VerifyResult } from "../../../services/verifier/verify-result.ts";

/** Answers by the token's text, and notes what was demanded. */
class FakeVerifier {
  readonly demands: VerifyDemand[] = [];

  async verify(token: string, demand: VerifyDemand = {}): Promise<VerifyResult> {
    this.demands.push(demand);
    if (token === "stale") throw new VerifierUnavailableError("STALE", "too old");
    if (token === "bug") throw new Error("a bug");
    const code = token === "good" ? "VALID" : token === "narrow" ? "INSUFFICIENT_SCOPE" : "REVOKED";
    return { valid: code === "VALID", code, ...(code === "VALID" && { ownerId: "acme" }), revision: 1n, age: 0 };
  }
}

const demand = { scopes: ["invoices:read"] };
const outcomes = [
  ["no token", undefined, 401, "Bearer"],
  ["another scheme", "Basic eDp5", 401, "Bearer"],
  ["a bad token", "Bearer revoked", 401, 'Bearer error="invalid_token"'],
  ["a token that doesn't allow it", "Bearer narrow", 403, 'Bearer error="insufficient_scope"'],
  ["a verifier that can't tell", "Bearer stale", 503, null],
] as const;

describe("the Express-style middleware", () => {
  const verifier = new FakeVerifier();
  const guard = requireToken(verifier, demand);
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
  const call = (authorization?: string) => fetch(url, { headers: authorization ? { authorization } : {} });

  it("lets a good token pass, and says who called", async () => {
    const response = await call("bearer good");
    expect([response.status, await response.text()]).toEqual([200, "acme"]);
    expect(verifier.demands.at(-1)).toEqual(demand);
  });

  it.each(outcomes)("refuses %s", async (_, authorization, status, challenge) => {
    const response = await call(authorization);
    expect([response.status, response.headers.get("www-authenticate")]).toEqual([status, challenge]);
  });

  it("hands faults on", async () => {
    expect((await call("Bearer bug")).status).toBe(500);
  });
});

describe("the Fastify plugin", () => {
  type Hook = Parameters<Parameters<typeof ichorVerifier>[0]["addHook"]>[1];

  async function answerTo(authorization?: string) {
    let hook: Hook | undefined;
    const fastify = {
      decorateRequest: () => {},
      addHook: (_: "onRequest", one: Hook) => {
        hook = one;
      },
    };
    await ichorVerifier(fastify, { verifier: new FakeVerifier(), demandOf: () => demand });
    const request = { headers: { ...(authorization && { authorization }) } } as Parameters<Hook>[0];
    const told = { status: 200, challenge: null as string | null };
    const reply = {
      code: (status: number) => {
        told.status = status;
        return reply;
      },
      header: (_: string, value: string) => {
        told.challenge = value;
        return reply;
      },
      send: () => reply,
    };
    await hook?.(request, reply);
    return { ...told, ownerId: request.ichor?.ownerId };
  }

  it("lets a good token pass, and says who called", async () => {
    expect(await answerTo("Bearer good")).toEqual({ status: 200, challenge: null, ownerId: "acme" });
  });

  it.each(outcomes)("refuses %s", async (_, authorization, status, challenge) => {
    expect(await answerTo(authorization)).toMatchObject({ status, challenge });
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
  const call = (authorization?: string) =>
    createClient(Health, transport).check({}, { headers: authorization ? { authorization } : {} });

  it("lets a good token pass, and says who called", async () => {
    await call("Bearer good");
    expect(seen).toEqual(["acme"]);
  });

  it.each(outcomes)("refuses %s", async (_, authorization, status) => {
    const code = { 401: 16, 403: 7, 503: 14 }[status];
    await expect(call(authorization)).rejects.toMatchObject({ code });
  });
});
