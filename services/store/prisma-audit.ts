import type { PrismaClient } from "../../gen/prisma/sqlite/client.ts";
import { matchesAuditFilter } from "../core/audit/audit-filter.ts";
import type { ChainEntry } from "../core/audit/check-chain.ts";
import type { AuditQuery, AuditScan, AuditStore, CheckpointRow } from "./audit-port.ts";
import { type AuditRow, auditEventOf } from "./audit-rows.ts";
import { answering, insertedIfFree } from "./prisma-errors.ts";

/** The audit trail over Prisma. */
export class PrismaAudit implements AuditStore {
  readonly #client: PrismaClient;

  constructor(client: PrismaClient) {
    this.#client = client;
  }

  scanEvents(query: AuditQuery, after: bigint | undefined, lookMax: number): Promise<AuditScan> {
    return answering(async () => {
      const { filter, descending } = query;
      const rows = await this.#client.auditEvent.findMany({
        where: {
          tenantId: query.tenantId,
          ...(filter.target !== undefined && { target: filter.target }),
          revision: revisionsOf(query, after),
        },
        orderBy: { revision: descending ? "desc" : "asc" },
        take: lookMax,
      });
      const hits = rows
        .map((row) => ({ revision: row.revision, ...auditEventOf(row) }))
        .filter((event) => matchesAuditFilter(filter, event));
      return { hits, next: rows.length < lookMax ? undefined : rows.at(-1)?.revision };
    });
  }

  chainEntries(after: bigint, limit: number): Promise<readonly ChainEntry[]> {
    return answering(async () => {
      const where = { revision: { gt: after, lte: after + BigInt(limit) } };
      const [changes, events] = await Promise.all([
        this.#client.changeLog.findMany({ where }),
        this.#client.auditEvent.findMany({ where }),
      ]);
      const changeOf = new Map(changes.map((row) => [row.revision, row]));
      const eventOf = new Map(events.map((row) => [row.revision, row]));
      return Array.from({ length: limit }, (_, i) => {
        const revision = after + BigInt(i + 1);
        const change = changeOf.get(revision);
        const event = eventOf.get(revision);
        return {
          revision,
          change: change && { ...change, payload: change.payload ?? undefined },
          event: event && unverifiedEventOf(event),
        };
      });
    });
  }

  nextLogged(after: bigint): Promise<bigint | undefined> {
    return answering(async () => {
      const next = {
        where: { revision: { gt: after } },
        orderBy: { revision: "asc" },
        select: { revision: true },
      } as const;
      const change = await this.#client.changeLog.findFirst(next);
      const event = await this.#client.auditEvent.findFirst(next);
      return min(change?.revision, event?.revision);
    });
  }

  listCheckpoints(afterNumber: bigint, limit: number): Promise<readonly CheckpointRow[]> {
    return answering(async () => {
      const rows = await this.#client.auditCheckpoint.findMany({
        where: { number: { gt: afterNumber } },
        orderBy: { number: "asc" },
        take: limit,
      });
      return rows.map(checkpointOf);
    });
  }

  checkpointsAround(revision: bigint, limit: number): Promise<readonly CheckpointRow[]> {
    return answering(async () => {
      const table = this.#client.auditCheckpoint;
      const before = await table.findFirst({ where: { revision: { lt: revision } }, orderBy: { number: "desc" } });
      const rows = await table.findMany({
        where: { revision: { gte: revision } },
        orderBy: { number: "asc" },
        take: limit,
      });
      return [...(before === null ? [] : [before]), ...rows].map(checkpointOf);
    });
  }

  lastCheckpoint(): Promise<CheckpointRow | undefined> {
    return answering(async () => {
      const row = await this.#client.auditCheckpoint.findFirst({ orderBy: { number: "desc" } });
      return row === null ? undefined : checkpointOf(row);
    });
  }

  insertCheckpoint({ timeMs, ...row }: CheckpointRow): Promise<boolean> {
    const data = [{ ...row, timeMs: BigInt(timeMs) }];
    return answering(() => insertedIfFree(this.#client.auditCheckpoint.createMany({ data })));
  }
}

function revisionsOf({ filter, descending }: AuditQuery, after: bigint | undefined): { gt?: bigint; lt?: bigint } {
  const { afterRevision, beforeRevision } = filter;
  const lower = descending ? afterRevision : max(after, afterRevision);
  const upper = descending ? min(after, beforeRevision) : beforeRevision;
  return { ...(lower !== undefined && { gt: lower }), ...(upper !== undefined && { lt: upper }) };
}

function max(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  return a === undefined || (b !== undefined && b > a) ? b : a;
}

function min(a: bigint | undefined, b: bigint | undefined): bigint | undefined {
  return a === undefined || (b !== undefined && b < a) ? b : a;
}

/** What someone may have written by hand: what can't be read has no digest, and so fits no chain. */
function unverifiedEventOf(row: AuditRow): ChainEntry["event"] {
  try {
    return auditEventOf(row);
  } catch {
    return { digest: new Uint8Array(0) };
  }
}

function checkpointOf({ timeMs, ...row }: Omit<CheckpointRow, "timeMs"> & { readonly timeMs: bigint }): CheckpointRow {
  return { ...row, timeMs: Number(timeMs) };
}
