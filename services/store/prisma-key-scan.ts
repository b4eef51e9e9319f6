import { Prisma } from "../../gen/prisma/sqlite/client.ts";
import type { KeyStatus } from "../core/api-key.ts";
import type { TimeRange } from "../core/filter-terms.ts";
import { firstIdAt, type KeyId } from "../core/ids.ts";
import type { KeyFilter } from "../core/key-filter.ts";
import { textAfterPrefix } from "../core/key-order.ts";
import type { KeyCursor, KeyQuery, KeyScan } from "./port.ts";

// Every look is a range of one index, in its order and bounded in number: no planner of the four databases has a choice
// to get wrong. What the index can't decide is a condition on each row that is looked at.

type Sql = Prisma.Sql;
type Db = Pick<Prisma.TransactionClient, "$queryRaw">;

interface Row {
  readonly id: string;
  readonly value: string | number | bigint | null;
  readonly hit: number | bigint;
}

/** Looks at the next `lookMax` keys of a list; see `StoreReads.scanKeys`. */
export async function scanKeys(
  db: Db,
  query: KeyQuery,
  after: KeyCursor | undefined,
  lookMax: number,
): Promise<KeyScan> {
  const source = sourceOf(query);
  const rows: Row[] = [];
  for (const range of rangesOf(query, source, after)) {
    rows.push(...(await look(db, query, source, range, lookMax - rows.length)));
    if (rows.length >= lookMax) break;
  }
  const cursors = rows.map(cursorOf);
  return {
    hits: cursors.filter((_, i) => Number(rows[i]?.hit) === 1),
    next: rows.length >= lookMax ? cursors.at(-1) : undefined,
  };
}

/** What is walked through: `id` in order, under conditions that stand before it in an index. */
interface Source {
  readonly from: Sql;
  readonly id: Sql;
  /** What the list is ordered by before the id; undefined: by the id alone. */
  readonly column: Sql | undefined;
  readonly conditions: readonly Sql[];
  /** What must be asked of each row. */
  readonly filter: KeyFilter;
}

const keys = Prisma.sql`api_key k`;
const keyId = Prisma.sql`k.id`;

function sourceOf({ tenantId, filter, order }: KeyQuery): Source {
  const inTenant = Prisma.sql`k.tenant_id = ${tenantId}`;
  if (order.by === "name") {
    const conditions = [inTenant, ...nameConditions(filter.name)];
    return { from: keys, id: keyId, column: Prisma.sql`k.name`, conditions, filter: without(filter, "name") };
  }
  if (order.by === "expire_time") {
    const rest = { ...filter, expireTime: {} };
    return { from: keys, id: keyId, column: Prisma.sql`k.expire_time_ms`, conditions: [inTenant], filter: rest };
  }
  const rest = { ...filter, createTime: {} };
  const fixed = (condition: Sql, unfixed: KeyFilter): Source => ({
    from: keys,
    id: keyId,
    column: undefined,
    conditions: [inTenant, condition],
    filter: unfixed,
  });
  // CROSS JOIN, since SQLite keeps the order of the tables then; to the others it is a join like any.
  const listed = (table: Sql, condition: Sql, unlisted: KeyFilter): Source => ({
    from: Prisma.sql`${table} d CROSS JOIN api_key k`,
    id: Prisma.sql`d.key_id`,
    column: undefined,
    conditions: [Prisma.sql`d.tenant_id = ${tenantId} AND ${condition} AND k.id = d.key_id`],
    filter: unlisted,
  });
  const { ownerId, status, prefix } = filter;
  const [label, ...labels] = filter.labels;
  const [scope, ...scopes] = filter.scopes;
  if (ownerId !== undefined) return fixed(Prisma.sql`k.owner_id = ${ownerId}`, without(rest, "ownerId"));
  if (label !== undefined) {
    const [name, value] = label;
    return listed(Prisma.sql`key_label`, Prisma.sql`d.name = ${name} AND d.value = ${value}`, { ...rest, labels });
  }
  if (scope !== undefined) {
    return listed(Prisma.sql`key_scope`, Prisma.sql`d.scope = ${scope}`, { ...rest, scopes });
  }
  if (status !== undefined && status !== "EXPIRED") return fixed(Prisma.sql`k.state = ${status}`, rest);
  if (prefix !== undefined) return fixed(Prisma.sql`k.prefix = ${prefix}`, without(rest, "prefix"));
  return { from: keys, id: keyId, column: undefined, conditions: [inTenant], filter: rest };
}

/** The ranges of the order that follow a place, in turn; within each the index is in order. */
function rangesOf({ filter, order }: KeyQuery, { id, column }: Source, after: KeyCursor | undefined): readonly Sql[] {
  const { descending } = order;
  const beyond = (of: Sql, value: string | bigint) =>
    descending ? Prisma.sql`${of} < ${value}` : Prisma.sql`${of} > ${value}`;
  if (column === undefined) {
    return [allOf([...idConditions(id, filter.createTime), ...(after ? [beyond(id, after.id)] : [])])];
  }
  const nullable = order.by === "expire_time";
  const bounds = nullable ? rangeConditions(column, filter.expireTime) : [];
  const present = allOf([Prisma.sql`${column} IS NOT NULL`, ...bounds]);
  const absent = Prisma.sql`${column} IS NULL`;
  // Who never expires comes last, and isn't before any time.
  const absents = nullable && filter.expireTime.beforeMs === undefined ? [absent] : [];
  if (after === undefined) return descending ? [...absents, present] : [present, ...absents];
  if (after.value === null || after.value === undefined) {
    const rest = Prisma.sql`${absent} AND ${beyond(id, after.id)}`;
    return descending ? [rest, present] : [rest];
  }
  const value = typeof after.value === "number" ? BigInt(after.value) : after.value;
  const equal = Prisma.sql`${column} = ${value} AND ${beyond(id, after.id)}`;
  return [equal, allOf([beyond(column, value), ...bounds]), ...(descending ? [] : absents)];
}

function allOf(conditions: readonly Sql[]): Sql {
  return conditions.length === 0 ? Prisma.sql`1 = 1` : Prisma.join([...conditions], " AND ");
}

function look(db: Db, query: KeyQuery, source: Source, range: Sql, limit: number): Promise<Row[]> {
  const { from, id, column, conditions, filter } = source;
  const direction = query.order.descending ? Prisma.sql`DESC` : Prisma.sql`ASC`;
  const order = column ? Prisma.sql`${column} ${direction}, ${id} ${direction}` : Prisma.sql`${id} ${direction}`;
  const hit = hitOf(query, filter);
  return db.$queryRaw<Row[]>`
    SELECT ${id} AS id, ${column ?? Prisma.sql`NULL`} AS value, ${hit} AS hit
    FROM ${from}
    WHERE ${allOf([...conditions, range])}
    ORDER BY ${order}
    LIMIT ${limit}`;
}

/** 1 for a row that the filter lets through, else 0: the databases differ in what they call true. */
function hitOf({ tenantId, nowMs }: KeyQuery, filter: KeyFilter): Sql {
  const conditions = [
    ...(filter.ownerId === undefined ? [] : [Prisma.sql`k.owner_id = ${filter.ownerId}`]),
    ...(filter.prefix === undefined ? [] : [Prisma.sql`k.prefix = ${filter.prefix}`]),
    ...(filter.status === undefined ? [] : [statusCondition(filter.status, nowMs)]),
    ...nameConditions(filter.name),
    ...filter.scopes.map(
      (scope) => Prisma.sql`EXISTS (
        SELECT 1 FROM key_scope s WHERE s.tenant_id = ${tenantId} AND s.scope = ${scope} AND s.key_id = k.id)`,
    ),
    ...filter.labels.map(
      ([name, value]) => Prisma.sql`EXISTS (
        SELECT 1 FROM key_label l
        WHERE l.tenant_id = ${tenantId} AND l.name = ${name} AND l.value = ${value} AND l.key_id = k.id)`,
    ),
    ...idConditions(keyId, filter.createTime),
    ...expireConditions(filter.expireTime),
    ...rangeConditions(Prisma.sql`k.last_used_time_ms`, filter.lastUsedTime),
  ];
  return conditions.length === 0 ? Prisma.sql`1` : Prisma.sql`CASE WHEN ${allOf(conditions)} THEN 1 ELSE 0 END`;
}

function statusCondition(status: KeyStatus, nowMs: number): Sql {
  const now = BigInt(nowMs);
  if (status === "REVOKED") return Prisma.sql`k.state = 'REVOKED'`;
  if (status === "EXPIRED") return Prisma.sql`(k.state <> 'REVOKED' AND k.expire_time_ms <= ${now})`;
  return Prisma.sql`(k.state = ${status} AND (k.expire_time_ms IS NULL OR k.expire_time_ms > ${now}))`;
}

function nameConditions(name: KeyFilter["name"]): readonly Sql[] {
  if (name === undefined) return [];
  if ("equals" in name) return [Prisma.sql`k.name = ${name.equals}`];
  const end = textAfterPrefix(name.begins);
  return [Prisma.sql`k.name >= ${name.begins}`, ...(end === undefined ? [] : [Prisma.sql`k.name < ${end}`])];
}

function idConditions(id: Sql, { afterMs, beforeMs }: TimeRange): readonly Sql[] {
  return [
    ...(afterMs === undefined ? [] : [Prisma.sql`${id} >= ${firstIdAt("key", afterMs + 1)}`]),
    ...(beforeMs === undefined ? [] : [Prisma.sql`${id} < ${firstIdAt("key", beforeMs)}`]),
  ];
}

/** Null is the end of time. */
function expireConditions({ afterMs, beforeMs }: TimeRange): readonly Sql[] {
  return [
    ...(afterMs === undefined ? [] : [Prisma.sql`(k.expire_time_ms IS NULL OR k.expire_time_ms > ${BigInt(afterMs)})`]),
    ...(beforeMs === undefined ? [] : [Prisma.sql`(k.expire_time_ms < ${BigInt(beforeMs)})`]),
  ];
}

function rangeConditions(column: Sql, { afterMs, beforeMs }: TimeRange): readonly Sql[] {
  return [
    ...(afterMs === undefined ? [] : [Prisma.sql`${column} > ${BigInt(afterMs)}`]),
    ...(beforeMs === undefined ? [] : [Prisma.sql`${column} < ${BigInt(beforeMs)}`]),
  ];
}

function without<K extends keyof KeyFilter>(filter: KeyFilter, field: K): KeyFilter {
  const { [field]: _, ...rest } = filter;
  return rest as KeyFilter;
}

function cursorOf({ id, value }: Row): KeyCursor {
  const plain = typeof value === "bigint" ? Number(value) : value;
  return plain === null ? { id: id as KeyId, value: null } : { id: id as KeyId, value: plain };
}
