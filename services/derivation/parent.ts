import type { Holder } from "../core/caller.ts";
import type { DeferrableCode } from "../core/demand.ts";
import { IchorError } from "../core/errors.ts";
import type { Call } from "../rpc/call.ts";
import type { DerivationDeps } from "./deps.ts";

/** What a token is derived from: authentic and cleared. */
export interface Parent extends Holder {
  /** Whether another than the holder named it. */
  readonly named: boolean;
}

/** Demands that the child carries on, so that they are asked where it is presented. Nobody knows where the holder is. */
const leftToChild: ReadonlySet<DeferrableCode> = new Set<DeferrableCode>([
  "AUDIENCE_MISMATCH",
  "IP_NOT_ALLOWED",
  "CONSTRAINT_NOT_MET",
]);

/**
 * Gives the parent: the caller's own credential, or the one that is named. Throws CREDENTIAL_KIND_NOT_ALLOWED for a JWT,
 * PARENT_REFUSED for a named one that isn't valid, TENANT_NOT_ALLOWED for one's own in another tenant.
 */
export async function parentOf(
  { verifyPresented }: Pick<DerivationDeps, "verifyPresented">,
  namedCredential: string,
  call: Call,
): Promise<Parent> {
  const { caller, tenantId } = call;
  if (namedCredential === "") {
    const { holder } = caller;
    if (holder === undefined || caller.kind === "JWT") throw kindNotAllowed();
    if (tenantId !== caller.tenantId) throw new IchorError("TENANT_NOT_ALLOWED", "a key is of its own tenant");
    return { ...holder, named: false };
  }
  const { code, kind, key, version, token } = await verifyPresented(namedCredential, {
    tenantId,
    demand: { requiredScopes: [], context: {}, deferred: leftToChild },
    minRevision: 0n,
    noCache: false,
    cost: 1,
    call,
  });
  if (code !== "VALID" || key === undefined) {
    throw new IchorError("PARENT_REFUSED", "the named credential isn't valid", { metadata: { code } });
  }
  if (kind === "JWT") throw kindNotAllowed();
  const macaroonText = kind === "MACAROON" ? namedCredential : undefined;
  return { key, version, token, macaroonText, named: true };
}

function kindNotAllowed(): IchorError {
  return new IchorError("CREDENTIAL_KIND_NOT_ALLOWED", "nothing can be derived from this kind of credential");
}
