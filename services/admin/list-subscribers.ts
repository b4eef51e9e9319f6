import type { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { FieldViolations } from "../core/field-violations.ts";
import type { Unary } from "../rpc/call.ts";
import type { Subscription } from "../store/subscription-port.ts";
import { onStaleToProto } from "../wire/key-set.ts";
import { toDuration, toTimestamp } from "../wire/time.ts";
import type { AdminDeps } from "./deps.ts";
import { openPageToken, parsePageSize, sealPageToken } from "./page-token.ts";

const pageSizeDefault = 50;

/** ListSubscribers: who follows the tenant's key set, and how far they have come. */
export function listSubscribers(deps: AdminDeps): Unary<typeof AdminService.method.listSubscribers> {
  return async ({ pageSize, pageToken }, { tenantId }) => {
    const place = ["ListSubscribers", tenantId];
    const violations = new FieldViolations();
    const size = parsePageSize(violations, pageSize, pageSizeDefault);
    const afterId = openPageToken<string>(violations, deps.sealer, place, pageToken);
    violations.throwIfAny();
    await deps.ledger.flush();
    const found = await deps.store.subscriptions.listSubscriptions(tenantId, afterId ?? "", size + 1);
    const page = found.slice(0, size);
    const last = found.length > size ? page.at(-1) : undefined;
    return {
      subscribers: page.map(subscriberToProto),
      nextPageToken: last === undefined ? "" : sealPageToken(deps.sealer, place, last.id),
      revision: deps.freshness.revision,
    };
  };
}

function subscriberToProto(subscription: Subscription) {
  const { maxStalenessMs, onStale, createTimeMs, seenTimeMs, tenantId: _, feeds, ...rest } = subscription;
  return {
    ...rest,
    feeds: [...feeds],
    maxStaleness: toDuration(maxStalenessMs),
    onStale: onStaleToProto(onStale),
    createTime: toTimestamp(createTimeMs),
    seenTime: toTimestamp(seenTimeMs),
  };
}
