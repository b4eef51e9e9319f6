import { Code, ConnectError, createContextKey, type Interceptor } from "@connectrpc/connect";
import type { CredentialVerifier } from "../remote-verifier.ts";
import type { VerifyDemand, VerifyResult } from "../verify-result.ts";
import { verifyPresented } from "./presented.ts";

/** Where a method finds who called: `context.values.get(callerKey)`. */
export const callerKey = createContextKey<VerifyResult | undefined>(undefined, { description: "verified caller" });

const codes = {
  400: Code.InvalidArgument,
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  429: Code.ResourceExhausted,
  503: Code.Unavailable,
} as const;

/**
 * Server interceptor for Connect: every call needs a credential that allows it, as `Authorization: Bearer` or `X-API-Key`.
 *
 * @param demandOf what a method needs, by its full name as `acme.v1.Invoices/Pay`
 */
export function verifierInterceptor(
  verifier: CredentialVerifier,
  demandOf: (method: string) => VerifyDemand = () => ({}),
): Interceptor {
  return (next) => async (request) => {
    const demand = demandOf(`${request.service.typeName}/${request.method.name}`);
    const presented = {
      authorization: request.header.get("authorization"),
      "x-api-key": request.header.get("x-api-key"),
    };
    const outcome = await verifyPresented(verifier, presented, demand);
    if (!outcome.allowed) {
      const { code, status, headers } = outcome;
      throw new ConnectError(`the credential was refused: ${code}`, codes[status], headers);
    }
    request.contextValues.set(callerKey, outcome.result);
    return next(request);
  };
}
