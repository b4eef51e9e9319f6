import type { AuditFilter } from "../core/audit/audit-filter.ts";
import type { ChainEntry } from "../core/audit/check-chain.ts";
import type { LoggedEvent } from "../core/audit-event.ts";
import type { TenantId } from "../core/ids.ts";

/** Which events of a tenant, and in which order of revisions. */
export interface AuditQuery {
  readonly tenantId: TenantId;
  readonly filter: AuditFilter;
  readonly descending: boolean;
}

/** Part of a list of events: those that the filter lets through, and where the look ended. */
export interface AuditScan {
  readonly hits: readonly LoggedEvent[];
  /** The last revision that was looked at; undefined: nothing follows. */
  readonly next: bigint | undefined;
}

/** A checkpoint as it is stored; what it says is in the statement. */
export interface CheckpointRow {
  /** Counted from 1. */
  readonly number: bigint;
  readonly revision: bigint;
  readonly timeMs: number;
  /** Thumbprint of the key that signed it. */
  readonly kid: string;
  /** Compact JWS; see core/audit/checkpoint.ts. */
  readonly statement: string;
}

/** What the audit trail needs of the store, outside of mutating transactions. */
export interface AuditStore {
  /** Looks at the next events of a tenant, at most `lookMax`, each as cheap as the first whatever came before. */
  scanEvents(query: AuditQuery, after: bigint | undefined, lookMax: number): Promise<AuditScan>;
  /**
   * What there is of the revisions above `after`, `limit` of them, one entry each even if it is gone: as it is stored,
   * whoever wrote it.
   */
  chainEntries(after: bigint, limit: number): Promise<readonly ChainEntry[]>;
  /** The least revision above `after` of which anything is there; undefined: nothing is. */
  nextLogged(after: bigint): Promise<bigint | undefined>;
  /** By number, those after `afterNumber`. */
  listCheckpoints(afterNumber: bigint, limit: number): Promise<readonly CheckpointRow[]>;
  /**
   * By number: the last one of before `revision`, if there is one, and those from then on, `limit` of them at most.
   */
  checkpointsAround(revision: bigint, limit: number): Promise<readonly CheckpointRow[]>;
  lastCheckpoint(): Promise<CheckpointRow | undefined>;
  /** Adds a checkpoint, unless there is one of this number: false. */
  insertCheckpoint(row: CheckpointRow): Promise<boolean>;
}
