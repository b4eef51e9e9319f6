import type { PrismaClient } from "../../gen/prisma/sqlite/client.ts";
import type { ApiKey } from "../core/api-key.ts";
import type { AuditEvent, NewAuditEvent } from "../core/audit-event.ts";
import type { Change, ChangeRow, Head } from "../core/change.ts";
import { auditBytes, chainHash, changeBytes } from "../core/change-chain.ts";
import { sha256 } from "../core/digest.ts";
import { type KeyId, newId, type TenantId } from "../core/ids.ts";
import type { Tenant } from "../core/tenant.ts";
import type { AuditStore } from "./audit-port.ts";
import { auditRowOf } from "./audit-rows.ts";
import type { StoreDeps, StoreStep } from "./deps.ts";
import { headRowId } from "./head-row.ts";
import type { KeySetRecord, KeySetStore } from "./key-set-port.ts";
import type {
  Committed,
  HotReads,
  KeyOfDigest,
  KeyUse,
  Mutation,
  SealedSecret,
  SecretUse,
  Store,
  StoreActivity,
  StoreTransaction,
} from "./port.ts";
import { PrismaAudit } from "./prisma-audit.ts";
import { answering } from "./prisma-errors.ts";
import { tendIdempotencyRecords } from "./prisma-idempotency.ts";
import { compactChanges, keepMarks, readCompactedThrough } from "./prisma-key-set.ts";
import { type Db, PrismaReads } from "./prisma-reads.ts";
import { secretUse } from "./prisma-secret-use.ts";
import { PrismaSubscriptions } from "./prisma-subscriptions.ts";
import { type InsertMany, insertRows, type KeyInTransaction, PrismaTransaction } from "./prisma-transaction.ts";
import { addUse } from "./prisma-use.ts";
import { sealedSecretOf } from "./rows.ts";
import type { SubscriptionStore } from "./subscription-port.ts";

/** Longest that one mutating transaction may take, in ms; then it is rolled back. */
export const transactionMsMax = 30_000;

/** What differs from database to database. */
export interface PrismaBackend {
  readonly client: PrismaClient;
  /** The reads that are made all the time, through the driver's prepared statements: Prisma costs 15 to 30 times that. */
  readonly hotReads: HotReads;
  /** Reads a key set of one moment without keeping writers out. */
  readonly loadKeySet: KeySetStore["loadKeySet"];
  /** The read of a key within the open transaction, past Prisma; every mutation of a key makes it, most make it twice. */
  readonly keyInTransaction: KeyInTransaction;
  /** The way to insert many rows, if there is a quicker one than statements of many rows. */
  readonly insertMany?: InsertMany;
  /**
   * Runs one transaction and commits what it did, or rolls it back if it throws: locks the head row, counts its revision
   * up, and gives `work` the head with that revision and the hash before it. May run it again after a conflict.
   */
  transact<T>(work: (db: Db, head: Head) => Promise<T>): Promise<T>;
  /** On a database server only. */
  readonly activity?: StoreActivity;
  close(): Promise<void>;
}

/** The store over Prisma. */
export class PrismaStore extends PrismaReads implements Store {
  readonly subscriptions: SubscriptionStore;
  readonly audit: AuditStore;
  readonly #backend: PrismaBackend;
  readonly #deps: StoreDeps;
  readonly #step: StoreStep;
  readonly #listeners: ((revision: bigint) => unknown)[] = [];
  readonly #checks: ((head: Head) => void)[] = [];

  constructor(backend: PrismaBackend, deps: StoreDeps) {
    super(backend.client);
    this.#backend = backend;
    this.subscriptions = new PrismaSubscriptions(backend.client);
    this.audit = new PrismaAudit(backend.client);
    this.#deps = deps;
    this.#step = deps.step ?? ((_name, work) => work());
  }

  override head(): Promise<Head> {
    return answering(() => this.#backend.hotReads.head());
  }

  override getTenant(id: TenantId): Promise<Tenant | undefined> {
    return this.#read(() => this.#backend.hotReads.getTenant(id));
  }

  override getKey(id: KeyId): Promise<ApiKey | undefined> {
    return this.#read(() => this.#backend.hotReads.getKey(id));
  }

  override keysOfDigests(tenantId: TenantId, digests: readonly Uint8Array[]): Promise<readonly KeyOfDigest[]> {
    return this.#read(() => this.#backend.hotReads.keysOfDigests(tenantId, digests));
  }

  override changesAfter(after: bigint, limit: number): Promise<readonly ChangeRow[]> {
    return answering(() => this.#backend.hotReads.changesAfter(after, limit));
  }

  loadKeySet(tenantId: TenantId): Promise<KeySetRecord | undefined> {
    return this.#read(() => this.#backend.loadKeySet(tenantId));
  }

  compactChanges(beforeMs: number, limit: number): Promise<number> {
    return answering(() => compactChanges(this.#backend.client, beforeMs, limit));
  }

  compactedThrough(): Promise<bigint> {
    return answering(() => readCompactedThrough(this.#backend.client));
  }

  async mutate<T>(work: (tx: StoreTransaction, revision: bigint) => Promise<Mutation<T>>): Promise<Committed<T>> {
    const { committed, changed } = await this.#step("store.transaction", async () => {
      try {
        return { committed: await answering(() => this.#transact(work)), changed: true };
      } catch (error) {
        if (error instanceof Unchanged) return { committed: error.seen as Committed<T>, changed: false };
        throw error;
      }
    });
    if (changed) await this.#tell(committed.revision);
    return committed;
  }

  onCommit(listener: (revision: bigint) => unknown): void {
    this.#listeners.push(listener);
  }

  checkHead(check: (head: Head) => void): void {
    this.#checks.push(check);
  }

  async rebindSecret(
    keyId: KeyId,
    number: number,
    fromPepperId: string,
    toPepperId: string,
    digest: Uint8Array,
  ): Promise<boolean> {
    const { client } = this.#backend;
    // The first statement holds the pepper's row, so that who retires it waits, or has done so.
    const [, count] = await answering(() =>
      client.$transaction([
        client.$executeRaw`UPDATE sealed_secret SET id = id WHERE id = ${toPepperId}`,
        client.$executeRaw`
          UPDATE secret_version SET pepper_id = ${toPepperId}, digest = ${digest}
          WHERE key_id = ${keyId} AND number = ${number} AND pepper_id = ${fromPepperId}
            AND EXISTS (SELECT 1 FROM sealed_secret WHERE id = ${toPepperId})`,
      ]),
    );
    return count === 1;
  }

  tendIdempotencyRecords(nowMs: number, limit: number): Promise<number> {
    return answering(() => tendIdempotencyRecords(this.#backend.client, nowMs, limit));
  }

  addUse(uses: readonly KeyUse[]): Promise<void> {
    return answering(() => addUse(this.#backend.client, uses));
  }

  secretUse(nowMs: number): Promise<SecretUse> {
    return answering(() => secretUse(this.#backend.client, nowMs));
  }

  countIdempotencyRecords(fromMs: number, untilMs: number): Promise<number> {
    const createTimeMs = { gte: BigInt(fromMs), lt: BigInt(untilMs) };
    return answering(() => this.#backend.client.idempotencyRecord.count({ where: { createTimeMs } }));
  }

  secretsNotUnder(masterKeyId: string, afterId: string, limit: number): Promise<readonly SealedSecret[]> {
    return answering(async () => {
      const rows = await this.#backend.client.sealedSecret.findMany({
        where: { masterKeyId: { not: masterKeyId }, id: { gt: afterId } },
        orderBy: { id: "asc" },
        take: limit,
      });
      return rows.map(sealedSecretOf);
    });
  }

  async resealSecret(from: SealedSecret, to: Pick<SealedSecret, "masterKeyId" | "sealed">): Promise<boolean> {
    const { count } = await answering(() =>
      this.#backend.client.sealedSecret.updateMany({
        where: { id: from.id, masterKeyId: from.masterKeyId },
        data: { masterKeyId: to.masterKeyId, sealed: to.sealed as Uint8Array<ArrayBuffer> },
      }),
    );
    return count === 1;
  }

  get activity(): StoreActivity | undefined {
    return this.#backend.activity;
  }

  close(): Promise<void> {
    return this.#backend.close();
  }

  #read<T>(ask: () => Promise<T>): Promise<T> {
    return this.#step("store.read", () => answering(ask));
  }

  #transact<T>(work: (tx: StoreTransaction, revision: bigint) => Promise<Mutation<T>>): Promise<Committed<T>> {
    return this.#backend.transact(async (db, { revision, hash: previous, storeEpoch }) => {
      for (const check of this.#checks) check({ revision: revision - 1n, hash: previous, storeEpoch });
      const outcome = await work(
        new PrismaTransaction(db, this.#backend.keyInTransaction, this.#backend.insertMany ?? insertRows),
        revision,
      );
      if ("unchanged" in outcome) throw new Unchanged({ result: outcome.result, revision: revision - 1n });
      await this.#append(db, revision, previous, outcome.change, outcome.audit);
      return { result: outcome.result, revision };
    });
  }

  /** Writes the log entry and the audit event of a revision, and the head's new hash. */
  async #append(db: Db, revision: bigint, previous: Uint8Array, change: Change, audit: NewAuditEvent): Promise<void> {
    const { clock, random } = this.#deps;
    const nowMs = clock.now();
    const event: AuditEvent = { ...audit, id: newId("evt", nowMs, random(10)), timeMs: nowMs };
    const payload = changeBytes(change);
    const changeDigest = sha256(payload);
    const hash = chainHash(previous, revision, changeDigest, sha256(auditBytes(event)));
    await insertRows(db, "change_log", [{ revision, hash, commitTimeMs: BigInt(nowMs), changeDigest, payload }]);
    await keepMarks(db, change, nowMs);
    await insertRows(db, "audit_event", [{ ...auditRowOf(revision, event) }]);
    await db.$executeRaw`UPDATE store_head SET hash = ${hash} WHERE id = ${headRowId}`;
  }

  async #tell(revision: bigint): Promise<void> {
    const told = this.#listeners.map(async (listener) => listener(revision));
    for (const outcome of await Promise.allSettled(told)) {
      if (outcome.status === "rejected") this.#deps.log.error({ err: outcome.reason }, "a commit listener failed");
    }
  }
}

/** Thrown inside a transaction that changed nothing, since throwing is how Prisma rolls back. */
class Unchanged extends Error {
  readonly seen: Committed<unknown>;

  constructor(seen: Committed<unknown>) {
    super("unchanged");
    this.seen = seen;
  }
}
