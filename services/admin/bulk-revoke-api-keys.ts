import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { parseKeyFilter } from "../core/key-filter.ts";
import { keyOrderDefault } from "../core/key-order.ts";
import { revokeKeys } from "../mutation/revoke-keys.ts";
import { runOnce } from "../mutation/run-once.ts";
import type { Unary } from "../rpc/call.ts";
import type { KeyCursor } from "../store/port.ts";
import { revocationReasonFromProto } from "../wire/enums.ts";
import { checkRequestId, checkText, commentBytesMax } from "../wire/request-fields.ts";
import type { AdminDeps } from "./deps.ts";
import { countKeysAfter, pageOfKeys, parseFilter } from "./key-pages.ts";
import { openPageToken, parsePageSize, sealPageToken } from "./page-token.ts";

const pageSizeDefault = 1000;
const estimateMax = 10_000;
const { bulkRevokeApiKeys: method } = AdminService.method;

/** BulkRevokeApiKeys: revokes a page of what a filter finds, or counts it. */
export function bulkRevokeApiKeys(deps: AdminDeps): Unary<typeof method> {
  return async (request, call) => {
    const { tenantId } = call;
    const violations = new FieldViolations();
    violations.require(request.filter.trim() !== "", "filter", "must not be empty");
    const filter = parseFilter(violations, request.filter, parseKeyFilter);
    const size = parsePageSize(violations, request.pageSize, pageSizeDefault);
    const reason = revocationReasonFromProto(request.reason);
    violations.require(reason !== undefined, "reason", "is not a value that this version knows");
    checkText(violations, "comment", request.comment, commentBytesMax);
    checkRequestId(violations, request.requestId);
    const place = [method.name, tenantId, request.filter];
    const after = openPageToken<KeyCursor>(violations, deps.sealer, place, request.pageToken);
    violations.throwIfAny();
    const { comment, dryRun } = request;
    const query = { tenantId, filter, order: keyOrderDefault, nowMs: deps.now() };
    const told = (revokedCount: number, next: KeyCursor | undefined, revision: bigint) => ({
      revokedCount,
      nextPageToken: next === undefined ? "" : sealPageToken(deps.sealer, place, next),
      revision,
    });
    const dryPage = async () => {
      const { revision } = await deps.store.head();
      const { keyIds, next } = await pageOfKeys(deps.store, query, after, size);
      const live = (await deps.store.getKeys(keyIds)).filter(({ state }) => state !== "REVOKED");
      return told(live.length, next, revision);
    };
    const page = () =>
      runOnce(deps, call, method, request, {
        work: async (tx, revision) => {
          const { keyIds, next } = await pageOfKeys(tx, query, after, size);
          const revocation = { reason: reason ?? "UNSPECIFIED", comment, timeMs: query.nowMs };
          const done = await revokeKeys(tx, call, await tx.getKeys(keyIds), revocation, revision);
          if (done === undefined) return { result: told(0, next, revision - 1n), unchanged: true };
          return { result: told(done.revoked.length, next, revision), ...done.logged };
        },
        recall: async (_tx, { revision }) => ({ revision }),
      });
    const answer = dryRun ? await dryPage() : await page();
    const next = openPageToken<KeyCursor>(new FieldViolations(), deps.sealer, place, answer.nextPageToken ?? "");
    return { ...answer, remainingEstimate: await countKeysAfter(deps.store, query, next, estimateMax) };
  };
}
