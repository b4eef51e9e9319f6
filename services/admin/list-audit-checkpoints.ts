import type { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { FieldViolations } from "../core/field-violations.ts";
import type { Unary } from "../rpc/call.ts";
import { toTimestamp } from "../wire/time.ts";
import type { AdminDeps } from "./deps.ts";
import { parsePageSize } from "./page-token.ts";

const pageSizeDefault = 50;

/** ListAuditCheckpoints: signed statements of where the log stood, by number. */
export function listAuditCheckpoints({
  store,
}: Pick<AdminDeps, "store">): Unary<typeof AdminService.method.listAuditCheckpoints> {
  return async ({ pageSize, afterNumber }) => {
    const violations = new FieldViolations();
    const size = parsePageSize(violations, pageSize, pageSizeDefault);
    violations.require(afterNumber >= 0n, "after_number", "must not be negative");
    violations.throwIfAny();
    const rows = await store.audit.listCheckpoints(afterNumber, size);
    return { auditCheckpoints: rows.map(({ timeMs, ...row }) => ({ ...row, createTime: toTimestamp(timeMs) })) };
  };
}
