import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { parseKeyFilter } from "../core/key-filter.ts";
import { keyOrderDefault, parseKeyOrder } from "../core/key-order.ts";
import type { Unary } from "../rpc/call.ts";
import type { KeyCursor } from "../store/port.ts";
import { apiKeyToProto } from "../wire/api-key.ts";
import type { AdminDeps } from "./deps.ts";
import { pageOfKeys, parseFilter } from "./key-pages.ts";
import { openPageToken, parsePageSize, sealPageToken } from "./page-token.ts";

const pageSizeDefault = 50;

/** ListApiKeys: a page of the tenant's keys. */
export function listApiKeys(
  deps: Pick<AdminDeps, "store" | "sealer" | "now">,
): Unary<typeof AdminService.method.listApiKeys> {
  return async (request, call) => {
    const { tenantId } = call;
    const violations = new FieldViolations();
    const size = parsePageSize(violations, request.pageSize, pageSizeDefault);
    const filter = parseFilter(violations, request.filter, parseKeyFilter);
    const order = parseKeyOrder(request.orderBy);
    violations.require(
      order !== undefined,
      "order_by",
      "must be create_time, expire_time or name, each alone or with desc",
    );
    const place = [AdminService.method.listApiKeys.name, tenantId, request.filter, JSON.stringify(order)];
    const after = openPageToken<KeyCursor>(violations, deps.sealer, place, request.pageToken);
    violations.throwIfAny();
    const nowMs = deps.now();
    const query = { tenantId, filter, order: order ?? keyOrderDefault, nowMs };
    const { keyIds, next } = await pageOfKeys(deps.store, query, after, size);
    const keys = await deps.store.getKeys(keyIds);
    return {
      apiKeys: keys.map((key) => apiKeyToProto(key, nowMs)),
      nextPageToken: next === undefined ? "" : sealPageToken(deps.sealer, place, next),
    };
  };
}
