import type { AuditEvent } from "../../services/core/audit-event.ts";
import { auditBytes, chainHash, genesisHash } from "../../services/core/change-chain.ts";
import { sha256 } from "../../services/core/digest.ts";
import type { TestStore } from "./store.contract.ts";

type Row = Readonly<Record<string, unknown>>;

/** Computes the chain again from the rows of the database; gives the revisions whose entry doesn't fit. */
export async function chainFaults({ query }: Pick<TestStore, "query">): Promise<readonly bigint[]> {
  const [head] = await query("SELECT * FROM store_head");
  const entries = byRevision(await query("SELECT * FROM change_log"));
  const events = byRevision(await query("SELECT * FROM audit_event"));
  const faults: bigint[] = [];
  let previous = genesisHash;
  for (let revision = 1n; revision <= BigInt(head?.revision as bigint); revision++) {
    const [entry, event] = [entries.get(revision), events.get(revision)];
    const hash = entry && bytesOf(entry.hash);
    if (entry === undefined || event === undefined || hash === undefined || !fits(previous, revision, entry, event))
      faults.push(revision);
    previous = hash ?? genesisHash;
  }
  if (Buffer.compare(previous, bytesOf(head?.hash)) !== 0) faults.push(BigInt(head?.revision as bigint));
  return faults;
}

function fits(previous: Uint8Array, revision: bigint, entry: Row, event: Row): boolean {
  const changeDigest = bytesOf(entry.change_digest);
  const payload = entry.payload;
  if (payload !== null && Buffer.compare(sha256(bytesOf(payload)), changeDigest) !== 0) return false;
  const hash = chainHash(previous, revision, changeDigest, sha256(auditBytes(eventOf(event))));
  return Buffer.compare(hash, bytesOf(entry.hash)) === 0;
}

/** Spelled out rather than taken from the store: this is what an auditor would write. */
function eventOf(row: Row): AuditEvent {
  const caller =
    row.caller_key_id === null ? {} : { caller: { keyId: row.caller_key_id, tenantId: row.caller_tenant_id } };
  return {
    id: row.id,
    timeMs: Number(row.time_ms),
    tenantId: row.tenant_id,
    action: row.action,
    target: row.target,
    address: row.address,
    requestId: row.request_id,
    ...caller,
    ...(row.before_digest !== null && { beforeDigest: row.before_digest }),
    ...(row.after_digest !== null && { afterDigest: row.after_digest }),
    ...(row.details !== null && { details: JSON.parse(String(row.details)) }),
  } as AuditEvent;
}

function byRevision(rows: readonly Row[]): ReadonlyMap<bigint, Row> {
  return new Map(rows.map((row) => [BigInt(row.revision as bigint), row]));
}

function bytesOf(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array(0);
}
