import { Code, ConnectError, createContextKey, type Interceptor } from "@connectrpc/connect";
import type { Verifier } from "../verifier.ts";
import type { VerifyDemand, VerifyResult } from "../verify-result.ts";
import { verifyBearer } from "./bearer.ts";

/** Where a method finds who called: `context.values.get(callerKey)`. */
export const callerKey = createContextKey<VerifyResult | undefined>(undefined, { description: "verified caller" });

const codes = { 401: Code.Unauthenticated, 403: Code.PermissionDenied, 503: Code.Unavailable } as const;

/**
 * Server interceptor for Connect: every call needs a bearer token that allows it.
 *
 * @param demandOf what a method needs, by its full name as `acme.v1.Invoices/Pay`
 */
export function verifierInterceptor(
  verifier: Pick<Verifier, "verify">,
  demandOf: (method: string) => VerifyDemand = () => ({}),
): Interceptor {
  return (next) => async (request) => {
    const demand = demandOf(`${request.service.typeName}/${request.method.name}`);
    const outcome = await verifyBearer(verifier, request.header.get("authorization"), demand);
    if (!outcome.allowed) throw new ConnectError(`the token was refused: ${outcome.code}`, codes[outcome.status]);
    request.contextValues.set(callerKey, outcome.result);
    return next(request);
  };
}
