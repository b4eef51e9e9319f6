import type { MessageInitShape } from "@bufbuild/protobuf";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import type { ListAuditEventsResponseSchema } from "../../gen/ichor/v1/audit_pb.ts";
import { type AuditFilter, parseAuditFilter } from "../core/audit/audit-filter.ts";
import type { ChainEntry } from "../core/audit/check-chain.ts";
import type { LoggedEvent } from "../core/audit-event.ts";
import { FieldViolations } from "../core/field-violations.ts";
import type { TenantId } from "../core/ids.ts";
import type { Unary } from "../rpc/call.ts";
import type { AuditQuery, AuditStore } from "../store/audit-port.ts";
import { auditEventToProto, chainLinkToProto } from "../wire/audit.ts";
import type { AdminDeps } from "./deps.ts";
import { parseFilter } from "./key-pages.ts";
import { openPageToken, parsePageSize, sealPageToken } from "./page-token.ts";

const pageSizeDefault = 50;
/** Most events of one read, during which an embedded store serves nobody else. */
const lookMax = 1_000;
/** Most events that one call looks at: then its page is short, and the next one goes on. */
const lookedMax = 10_000;

type Page = MessageInitShape<typeof ListAuditEventsResponseSchema> & { readonly next: bigint | undefined };

/** ListAuditEvents: a page of the tenant's trail. */
export function listAuditEvents(
  deps: Pick<AdminDeps, "store" | "sealer">,
): Unary<typeof AdminService.method.listAuditEvents> {
  return async (request, { tenantId }) => {
    const { orderBy, withLinks } = request;
    const violations = new FieldViolations();
    const size = parsePageSize(violations, request.pageSize, pageSizeDefault);
    const filter = parseFilter(violations, request.filter, parseAuditFilter);
    const ordered = /^\s*(revision(\s+(asc|desc))?)?\s*$/.exec(orderBy);
    violations.require(ordered !== null, "order_by", "must be revision or revision desc");
    const descending = withLinks ? /desc/.test(orderBy) : orderBy.trim() === "" || /desc/.test(orderBy);
    if (withLinks) {
      violations.require(!descending, "order_by", "must be revision with links");
      violations.require(onlyAfter(filter), "filter", "must be empty or revision > N with links");
    }
    const place = [AdminService.method.listAuditEvents.name, tenantId, request.filter, `${descending} ${withLinks}`];
    const at = openPageToken<string>(violations, deps.sealer, place, request.pageToken);
    violations.throwIfAny();
    const after = at === undefined ? undefined : BigInt(at);
    const { next, ...page } = withLinks
      ? await pageWithLinks(deps.store, tenantId, after ?? filter.afterRevision ?? 0n, size)
      : await pageOfEvents(deps.store.audit, { tenantId, filter, descending }, after, size);
    return { ...page, nextPageToken: next === undefined ? "" : sealPageToken(deps.sealer, place, String(next)) };
  };
}

async function pageOfEvents(
  audit: AuditStore,
  query: AuditQuery,
  after: bigint | undefined,
  size: number,
): Promise<Page> {
  const hits: LoggedEvent[] = [];
  let next = after;
  // One more than asked for tells whether there is a next page.
  let look = size + 1;
  for (let looked = 0; looked < lookedMax; looked += look, look = Math.min(look * 2, lookMax)) {
    const scan = await audit.scanEvents(query, next, look);
    hits.push(...scan.hits);
    next = scan.next;
    if (next === undefined || hits.length > size) break;
  }
  const page = hits.slice(0, size);
  return { auditEvents: page.map(auditEventToProto), next: hits.length > size ? page.at(-1)?.revision : next };
}

async function pageWithLinks(
  store: AdminDeps["store"],
  tenantId: TenantId,
  after: bigint,
  size: number,
): Promise<Page> {
  const { revision } = await store.head();
  const end = after + BigInt(size) < revision ? after + BigInt(size) : revision;
  const entries = end > after ? await store.audit.chainEntries(after, Number(end - after)) : [];
  const events = entries.flatMap((entry) => eventOf(entry, tenantId) ?? []);
  return {
    auditEvents: events.map(auditEventToProto),
    links: entries.map(chainLinkToProto),
    next: end < revision ? end : undefined,
  };
}

/** The event of an entry, if it is the tenant's. */
function eventOf({ revision, event }: ChainEntry, tenantId: TenantId): LoggedEvent | undefined {
  return event !== undefined && !("digest" in event) && event.tenantId === tenantId
    ? { ...event, revision }
    : undefined;
}

function onlyAfter({ eventTime, afterRevision: _, ...terms }: AuditFilter): boolean {
  return Object.keys(terms).length === 0 && Object.keys(eventTime).length === 0;
}
