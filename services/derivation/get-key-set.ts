import type { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { requireScope } from "../core/access.ts";
import { isAudience } from "../core/audience.ts";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { audienceScope } from "../core/scopes.ts";
import { issuerOf } from "../core/tenant.ts";
import type { Unary } from "../rpc/call.ts";
import { audiencesMax } from "../wire/request-fields.ts";
import { signingKeyToProto } from "../wire/signing-key.ts";
import { toTimestamp } from "../wire/time.ts";
import type { DerivationDeps } from "./deps.ts";

/** GetKeySet: the public keys of the tenant's JWTs, and root keys of macaroons for audiences that the caller verifies for. */
export function getKeySet(deps: DerivationDeps): Unary<typeof DerivationService.method.getKeySet> {
  return async ({ audiences }, call) => {
    const violations = new FieldViolations();
    violations.require(audiences.length <= audiencesMax, "audiences", `must have at most ${audiencesMax} audiences`);
    audiences.slice(0, audiencesMax).forEach((audience, i) => {
      violations.require(isAudience(audience), `audiences[${i}]`, "is not an audience");
    });
    violations.throwIfAny();
    for (const audience of audiences) requireScope(call.caller, `${audienceScope}${audience}`);
    // Noted before anything is looked up: what is found is at least as new.
    const { revision } = deps.freshness;
    const { value: tenant } = await deps.records.tenant(call.tenantId, false);
    if (tenant === undefined) throw new IchorError("TENANT_NOT_FOUND", "no such tenant");
    const keys = await deps.keyring.forTenant(tenant.id);
    const audienceKeys = [...new Set(audiences)].flatMap((audience) => keys.audienceKeys(audience, deps.now()));
    return {
      tenantId: tenant.id,
      issuer: issuerOf(deps.issuer(), tenant),
      revision,
      signingKeys: keys.published.map(signingKeyToProto),
      audienceKeys: audienceKeys.map(({ audience, masterId, generation, key, endTimeMs }) => ({
        audience,
        masterId,
        generation: BigInt(generation),
        key,
        endTime: toTimestamp(endTimeMs),
      })),
    };
  };
}
