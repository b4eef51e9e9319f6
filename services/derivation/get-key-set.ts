import type { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { requireScope } from "../core/access.ts";
import { isAudience } from "../core/audience.ts";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import type { TenantId } from "../core/ids.ts";
import { type AudienceKeyItem, emptyDelta } from "../core/key-set/key-set-delta.ts";
import { KeySetState } from "../core/key-set/key-set-state.ts";
import { audienceScope } from "../core/scopes.ts";
import { issuerOf } from "../core/tenant.ts";
import type { Unary } from "../rpc/call.ts";
import { audienceFeed, keySetItemsToProto, publicFeed } from "../wire/key-set.ts";
import { audiencesMax } from "../wire/request-fields.ts";
import { signingKeyToProto } from "../wire/signing-key.ts";
import { toTimestamp } from "../wire/time.ts";
import type { DerivationDeps } from "./deps.ts";
import type { Moment } from "./key-set-hub.ts";

/** Marks and revoked tokens in an answer: what is encoded in some 30 ms. */
const itemsMax = 32_768;

/** GetKeySet: the public keys of the tenant's JWTs, and root keys of macaroons for audiences that the caller verifies for. */
export function getKeySet(deps: DerivationDeps): Unary<typeof DerivationService.method.getKeySet> {
  return async ({ audiences, includeItems }, call) => {
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
    const at = deps.hub.now;
    const keys = await deps.keyring.forTenant(tenant.id);
    const keysOf = (audience: string) => keys.audienceKeys(audience, deps.now());
    const names = [...new Set(audiences)];
    const audienceKeys = names.flatMap(keysOf);
    const feeds = includeItems
      ? [await publicSnapshot(deps, tenant.id), ...names.map((name) => audienceSnapshot(name, keysOf(name), at))]
      : [];
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
      feeds,
    };
  };
}

function publicSnapshot({ hub }: DerivationDeps, tenantId: TenantId) {
  return hub.look(tenantId, ({ state }, at) => {
    if (state.markCount + state.tokenCount > itemsMax) {
      throw new IchorError("KEY_SET_TOO_LARGE", `the key set has more than ${itemsMax} entries: follow WatchKeySet`);
    }
    return snapshotOf(publicFeed, state, at);
  });
}

function audienceSnapshot(audience: string, audienceKeys: readonly AudienceKeyItem[], at: Moment) {
  const state = new KeySetState(0);
  state.apply({ ...emptyDelta, audienceKeys });
  return snapshotOf(audienceFeed(audience), state, at);
}

function snapshotOf(feed: string, state: KeySetState, { position, asOfMs }: Moment) {
  const [items] = state.parts(itemsMax);
  return {
    feed,
    ...position,
    digest: state.digest,
    asOf: toTimestamp(asOfMs),
    items: keySetItemsToProto(items ?? emptyDelta),
  };
}
