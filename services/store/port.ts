import type { ApiKey } from "../core/api-key.ts";
import type { NewAuditEvent } from "../core/audit-event.ts";
import type { Change, ChangeRow, Head } from "../core/change.ts";
import type { KeyId, TenantId } from "../core/ids.ts";
import type { KeyFilter } from "../core/key-filter.ts";
import type { KeyOrder } from "../core/key-order.ts";
import type { Tenant } from "../core/tenant.ts";
import type { AuditStore } from "./audit-port.ts";
import type { ExpiryStore } from "./expiry-port.ts";
import type { KeySetStore } from "./key-set-port.ts";
import type { SubscriptionStore } from "./subscription-port.ts";
import type { TokenReads, TokenWrites } from "./token-port.ts";

/** A secret at rest, sealed under the master key (see keyring/seal.ts). */
export interface SealedSecret {
  /** Row id, part of the sealing's associated data. */
  readonly id: string;
  /** Absent for secrets of the whole store, as peppers. */
  readonly tenantId?: TenantId;
  /** `pepper`, `macaroon_master`, … */
  readonly purpose: string;
  /** Which master key it is sealed under. */
  readonly masterKeyId: string;
  readonly sealed: Uint8Array;
  readonly createTimeMs: number;
}

/** Who asked what under which `request_id`: the key of an idempotency record. */
export interface IdempotencyKey {
  readonly tenantId: TenantId;
  readonly callerKeyId: KeyId;
  readonly method: string;
  readonly requestId: string;
}

export interface IdempotencyRecord extends IdempotencyKey {
  /** HMAC of the arguments, 32 bytes. */
  readonly fingerprint: Uint8Array;
  /** The key that the call was about, whose end erases the answer. */
  readonly keyId: KeyId;
  readonly revision: bigint;
  readonly createTimeMs: number;
  /** The sealed answer, secret included; absent once erased. */
  readonly sealedAnswer?: Uint8Array;
}

/** Which key has a secret of this digest. */
export interface KeyOfDigest {
  readonly keyId: KeyId;
  readonly digest: Uint8Array;
}

/** What is bound to a pepper, of any tenant. */
export interface PepperUse {
  readonly pepperId: string;
  /** Secrets that verify, but for constraints and a suspension. */
  readonly live: number;
  /** Secrets past their grace, and those of revoked and expired keys. */
  readonly dead: number;
  /** Digests that refuse an import. */
  readonly tombstones: number;
}

export interface SecretUse {
  /** Those that anything is bound to, by id. */
  readonly peppers: readonly PepperUse[];
  readonly masterKeys: readonly { readonly masterKeyId: string; readonly secrets: number }[];
}

/** What is to be added to the use of a key and of its secrets. */
export interface KeyUse {
  readonly keyId: KeyId;
  readonly count: number;
  readonly lastTimeMs: number;
  /** Client address of the last use; empty: unknown. */
  readonly lastAddress: string;
  readonly versions: readonly { readonly number: number; readonly count: number; readonly lastTimeMs: number }[];
}

/** Which keys of a tenant, and in which order. Texts are in the order of code points, ids in that of creation. */
export interface KeyQuery {
  readonly tenantId: TenantId;
  readonly filter: KeyFilter;
  readonly order: KeyOrder;
  /** When status is told, ms since the epoch. */
  readonly nowMs: number;
}

/** A place in an order: a key's id and what it is ordered by; null: it never expires. */
export interface KeyCursor {
  readonly id: KeyId;
  readonly value?: string | number | null;
}

/** Part of a list: the cursors of what the filter lets through, and where the look ended. */
export interface KeyScan {
  readonly hits: readonly KeyCursor[];
  /** Undefined: nothing follows. */
  readonly next: KeyCursor | undefined;
}

/** Reads of committed state. Each call is consistent in itself. All reject with `STORE_UNAVAILABLE` when there is no answer. */
export interface StoreReads {
  head(): Promise<Head>;
  getTenant(id: TenantId): Promise<Tenant | undefined>;
  getTenantBySlug(slug: string): Promise<Tenant | undefined>;
  /** With all its secret versions, newest first. Whoever acts for a tenant compares `tenantId`. */
  getKey(id: KeyId): Promise<ApiKey | undefined>;
  /** The secrets among these that there are in the tenant, whatever their keys' status; at most 10 000 digests. */
  keysOfDigests(tenantId: TenantId, digests: readonly Uint8Array[]): Promise<readonly KeyOfDigest[]>;
  /** The digests among these that a revoked and deleted imported key of the tenant had. */
  importTombstones(tenantId: TenantId, digests: readonly Uint8Array[]): Promise<readonly Uint8Array[]>;
  /**
   * Looks at the next keys of a list, at most `lookMax` of an index, each as cheap as the first whatever came before:
   * a filter that lets little through gives few hits, but doesn't hold up anybody else.
   */
  scanKeys(query: KeyQuery, after: KeyCursor | undefined, lookMax: number): Promise<KeyScan>;
  /** Those that are there, in the order of the ids; at most 1000. */
  getKeys(ids: readonly KeyId[]): Promise<readonly ApiKey[]>;
  /** How many keys the tenant has, whatever their status. */
  countKeys(tenantId: TenantId): Promise<number>;
  /** How many keys the owner has in the tenant, whatever their status, counted up to `atMost`. */
  countKeysOfOwner(tenantId: TenantId, ownerId: string, atMost: number): Promise<number>;
  /**
   * Keys of the tenant that were revoked or expired at `beforeMs` or earlier, those that did so first before the others. Found by
   * an index, however many there are.
   */
  deadKeyIds(tenantId: TenantId, beforeMs: number, limit: number): Promise<readonly KeyId[]>;
  /** Unconstrained keys with the scope `ichor:*` in tenant `default` that are neither disabled, revoked nor expired at `nowMs`. */
  liveRootKeyIds(nowMs: number): Promise<readonly KeyId[]>;
  /** Those of one tenant if it is named, else of all, those of the whole store among them. */
  listSealedSecrets(purpose: string, tenantId?: TenantId): Promise<readonly SealedSecret[]>;
  hasSealedSecret(id: string): Promise<boolean>;
  /** Whether a secret, live or dead, or a tombstone is bound to the pepper; looks at all of them if none is. */
  isPepperBound(pepperId: string): Promise<boolean>;
  /** By slug, those after `afterSlug`. */
  listTenants(afterSlug: string, limit: number): Promise<readonly Tenant[]>;
  /** What derived tokens need. */
  readonly tokens: TokenReads;
  /** When keys end, and which ends were told. */
  readonly expiry: ExpiryStore;
  /** Keys whose mark tells of no token that may live at `nowMs`, of any tenant, the longest overdue first. */
  forgettableMarks(nowMs: number, limit: number): Promise<readonly { tenantId: TenantId; keyId: KeyId }[]>;
  /**
   * Entries with a revision above `after`, ascending; may have gaps at the end that later reads fill. Those whose payload
   * was compacted aren't among them; the newest entry never is.
   */
  changesAfter(after: bigint, limit: number): Promise<readonly ChangeRow[]>;
  getIdempotencyRecord(key: IdempotencyKey): Promise<IdempotencyRecord | undefined>;
}

/** The reads that are made all the time. */
export type HotReads = Pick<StoreReads, "head" | "getTenant" | "getKey" | "keysOfDigests" | "changesAfter">;

/** What a mutating transaction may do; reads see its own writes, `head()` the revision that is being made with the hash before it. */
export interface StoreTransaction extends StoreReads {
  insertTenant(tenant: Tenant): Promise<void>;
  updateTenant(tenant: Tenant): Promise<void>;
  insertKey(key: ApiKey): Promise<void>;
  /** Many at once, for a fraction of the cost. */
  insertKeys(keys: readonly ApiKey[]): Promise<void>;
  /** Writes every mutable field and the set of secret versions. */
  updateKey(key: ApiKey): Promise<void>;
  /** Deletes keys, as they are in the store, with all that belongs to them; at most 1000. */
  deleteKeys(keys: readonly ApiKey[]): Promise<void>;
  /** Writes the state, revocation, time and revision of keys that were revoked together, all the same; at most 1000. */
  updateRevokedKeys(keys: readonly ApiKey[]): Promise<void>;
  /** Remembers the secrets of keys that are being deleted, so that they aren't imported again unawares. */
  insertImportTombstones(keys: readonly ApiKey[], deleteTimeMs: number): Promise<void>;
  deleteImportTombstones(tenantId: TenantId, digests: readonly Uint8Array[]): Promise<void>;
  insertSealedSecret(secret: SealedSecret): Promise<void>;
  /** Erases a secret; nothing if it is gone. */
  deleteSealedSecret(id: string): Promise<void>;
  readonly tokens: TokenWrites;
  /** Gives the store another epoch if it still has `from`; false: it has another one already. */
  renewStoreEpoch(from: string, to: string): Promise<boolean>;
  /** Takes the place of an older record of the same call. */
  insertIdempotencyRecord(record: IdempotencyRecord): Promise<void>;
  /** Erases the sealed answers about keys, so that no dead secret can be replayed. */
  eraseIdempotentAnswers(...keyIds: readonly KeyId[]): Promise<void>;
}

/** How a mutating transaction ended: with a change and its audit event, or without having changed anything. */
export type Mutation<T> =
  | { readonly result: T; readonly change: Change; readonly audit: NewAuditEvent }
  | { readonly result: T; readonly unchanged: true };

export interface Committed<T> {
  readonly result: T;
  /** The revision of this change; for `unchanged`, the head that was seen. */
  readonly revision: bigint;
}

/** The storage port, in domain types. One contract suite (test/contract) holds for every adapter. */
/** What a store on a database server does and holds, for metrics. */
export interface StoreActivity {
  /** Transactions that were begun again after a conflict, so far. */
  readonly retries: number;
  /** Connections, and requests that wait for one. */
  connections(): { readonly used: number; readonly idle: number; readonly waiting: number };
}

export interface Store extends StoreReads, KeySetStore {
  /** Who follows key sets. */
  readonly subscriptions: SubscriptionStore;
  /** The audit trail. */
  readonly audit: AuditStore;
  /** undefined: the store isn't on a database server. */
  readonly activity?: StoreActivity | undefined;
  /**
   * Runs one mutating transaction: locks the head row, takes the next revision, runs `work`, appends one change row and
   * one audit row with their chained hash, keeps the marks of the keys that the change names, and commits. Durable when it resolves. `unchanged` rolls back and takes no
   * revision. What `work` throws rolls back and is thrown on. `work` may run again after a conflict, so it must not have
   * effects of its own.
   */
  mutate<T>(work: (tx: StoreTransaction, revision: bigint) => Promise<Mutation<T>>): Promise<Committed<T>>;
  /**
   * Calls back after each commit of this process, with its revision: a hint to look. `mutate` resolves once what the
   * listeners give has resolved, so that they must bound it; a listener that fails fails nothing.
   */
  onCommit(listener: (revision: bigint) => unknown): void;
  /**
   * Shows each transaction of this process that may change something the head that it has locked, before any of its work.
   * What a check throws is what the transaction rejects with.
   */
  checkHead(check: (head: Head) => void): void;
  /**
   * Binds a secret version to another pepper if it is still bound to `fromPepperId` and the store has the other one: a
   * compare-and-set outside the log, since no decision depends on which pepper it is. False if someone else was faster.
   */
  rebindSecret(
    keyId: KeyId,
    number: number,
    fromPepperId: string,
    toPepperId: string,
    digest: Uint8Array,
  ): Promise<boolean>;
  /** What is bound to which pepper and sealed under which master key at `nowMs`; looks at every secret. */
  secretUse(nowMs: number): Promise<SecretUse>;
  /** How many records there are of calls of a span, ms since the epoch, its end not included. */
  countIdempotencyRecords(fromMs: number, untilMs: number): Promise<number>;
  /** Secrets that are sealed under another master key, by id; those after `afterId`. */
  secretsNotUnder(masterKeyId: string, afterId: string, limit: number): Promise<readonly SealedSecret[]>;
  /**
   * Puts another sealing of the same secret in the place of `from`: a compare-and-set outside the log, since no decision
   * depends on it. False if someone else was faster.
   */
  resealSecret(from: SealedSecret, to: Pick<SealedSecret, "masterKeyId" | "sealed">): Promise<boolean>;
  /**
   * Erases the kept answers of calls and deletes the records of calls that are too old for it at `nowMs` (see
   * core/repeat-lifetimes.ts), about `limit` of them; outside the log, since who repeats such a call is told the same before
   * and after. Gives how many it did; 0: nothing is due.
   */
  tendIdempotencyRecords(nowMs: number, limit: number): Promise<number>;
  /** Adds use to keys, at most 500, each once; outside the log, since no decision depends on it. Keys that are gone are passed over. */
  addUse(uses: readonly KeyUse[]): Promise<void>;
  close(): Promise<void>;
}
