import type { Verifier } from "../verifier.ts";
import type { VerifyDemand, VerifyResult } from "../verify-result.ts";
import { challengeOf, verifyBearer } from "./bearer.ts";

/** What of Fastify the plugin needs: it doesn't import Fastify, so that any version will do. */
interface FastifyLike {
  decorateRequest(name: string, value: null): unknown;
  addHook(name: "onRequest", hook: (request: RequestLike, reply: ReplyLike) => Promise<unknown>): unknown;
}
interface RequestLike {
  readonly headers: { readonly authorization?: string | undefined };
  ichor?: VerifyResult | null;
}
interface ReplyLike {
  code(status: number): ReplyLike;
  header(name: string, value: string): ReplyLike;
  send(body: unknown): unknown;
}

export interface FastifyVerifierOptions {
  readonly verifier: Pick<Verifier, "verify">;
  /** What a request needs; default: a valid token. */
  readonly demandOf?: (request: RequestLike) => VerifyDemand;
}

/**
 * Fastify plugin: every request of the instance that it is registered on needs a bearer token that allows it; who called
 * is `request.ichor`. Others get 401, 403 or, if it can't be told, 503.
 */
export async function ichorVerifier(fastify: FastifyLike, options: FastifyVerifierOptions): Promise<void> {
  fastify.decorateRequest("ichor", null);
  fastify.addHook("onRequest", async (request, reply) => {
    const demand = options.demandOf?.(request) ?? {};
    const outcome = await verifyBearer(options.verifier, request.headers.authorization, demand);
    if (outcome.allowed) {
      request.ichor = outcome.result;
      return undefined;
    }
    if (outcome.status !== 503) reply.header("www-authenticate", challengeOf(outcome));
    return reply.code(outcome.status).send({ code: outcome.code });
  });
}

// Fastify would otherwise keep the hook to the plugin's own routes.
Object.assign(ichorVerifier, { [Symbol.for("skip-override")]: true });
