import type { CredentialVerifier } from "../remote-verifier.ts";
import type { VerifyDemand, VerifyResult } from "../verify-result.ts";
import { type PresentedHeaders, verifyPresented } from "./presented.ts";

/** What of Fastify the plugin needs: it doesn't import Fastify, so that any version will do. */
interface FastifyLike {
  decorateRequest(name: string, value: null): unknown;
  addHook(name: "onRequest", hook: (request: RequestLike, reply: ReplyLike) => Promise<unknown>): unknown;
}
interface RequestLike {
  readonly headers: PresentedHeaders;
  ichor?: VerifyResult | null;
}
interface ReplyLike {
  code(status: number): ReplyLike;
  headers(values: Readonly<Record<string, string>>): ReplyLike;
  send(body: unknown): unknown;
}

export interface FastifyVerifierOptions {
  readonly verifier: CredentialVerifier;
  /** What a request needs; default: a valid credential. A method, so that one of a FastifyRequest fits. */
  demandOf?(request: RequestLike): VerifyDemand;
}

/**
 * Fastify plugin: every request of the instance that it is registered on needs a credential that allows it, in
 * `Authorization: Bearer` or `X-API-Key`; who called is `request.ichor`. Others get 400, 401, 403, 429 or, if it can't be
 * told, 503.
 */
export async function ichorVerifier(fastify: FastifyLike, options: FastifyVerifierOptions): Promise<void> {
  fastify.decorateRequest("ichor", null);
  fastify.addHook("onRequest", async (request, reply) => {
    const demand = options.demandOf?.(request) ?? {};
    const outcome = await verifyPresented(options.verifier, request.headers, demand);
    if (outcome.allowed) {
      request.ichor = outcome.result;
      return undefined;
    }
    return reply.code(outcome.status).headers(outcome.headers).send({ code: outcome.code });
  });
}

// Fastify would otherwise keep the hook to the plugin's own routes.
Object.assign(ichorVerifier, { [Symbol.for("skip-override")]: true });
