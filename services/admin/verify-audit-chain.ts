import { setImmediate as nextTurn } from "node:timers/promises";
import type { MessageShape } from "@bufbuild/protobuf";
import type { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import type { VerifyAuditChainRequestSchema } from "../../gen/ichor/v1/audit_pb.ts";
import type { ChainPosition } from "../core/audit/check-chain.ts";
import { statementLengthMax } from "../core/audit/checkpoint.ts";
import { TrailCheck, type TrailFault } from "../core/audit/trail-check.ts";
import type { Head } from "../core/change.ts";
import { genesisHash } from "../core/change-chain.ts";
import { FieldViolations } from "../core/field-violations.ts";
import type { Unary } from "../rpc/call.ts";
import type { CheckpointRow } from "../store/audit-port.ts";
import { faultToProto } from "../wire/audit.ts";
import { believedStatements } from "./believed-statements.ts";
import type { AdminDeps } from "./deps.ts";

/** Most revisions that one call looks at. */
export const verifiedRevisionsMax = 10_000;
/** Entries of a read, which holds up everybody else on an embedded store. */
const pageSize = 200;
/** Entries among which one that changed places is looked for. */
const neighboursMax = 1_000;
const checkpointsMax = 1_000;

type Deps = Pick<AdminDeps, "store" | "checkpointKeys">;

/** VerifyAuditChain: computes the chain again, a part of it a call, and compares it with checkpoints. */
export function verifyAuditChain(deps: Deps): Unary<typeof AdminService.method.verifyAuditChain> {
  return async (request) => {
    const { store } = deps;
    const head = await store.head();
    const { from, to } = parseRange(request, head);
    const stored = await store.audit.checkpointsAround(from, checkpointsMax);
    const { statements, fault: badCheckpoint } = await believedStatements(deps, stored, request.checkpoints, from);
    const last = lastOfCall(from, to, stored);
    const { position, fault: badStart } = await startOf(deps, from, request.previousHash);
    const check = new TrailCheck(position, statements);
    const badEntry = badStart ?? check.begin() ?? (await checkUpTo(deps, check, last, head));
    const fault = earlier(badEntry, badCheckpoint);
    const goesOn = fault === undefined && last < to;
    return {
      ...(fault && { fault: faultToProto(fault) }),
      verifiedRevision: check.at.revision,
      verifiedHash: check.at.hash,
      nextRevision: goesOn ? last + 1n : 0n,
      checkpointsCompared: check.compared,
      headRevision: head.revision,
      storeEpoch: head.storeEpoch,
    };
  };
}

function parseRange(request: MessageShape<typeof VerifyAuditChainRequestSchema>, head: Head) {
  const { fromRevision, toRevision, previousHash, checkpoints } = request;
  const violations = new FieldViolations();
  const from = fromRevision === 0n ? 1n : fromRevision;
  violations.require(from >= 1n && from <= head.revision + 1n, "from_revision", "is not a revision of the store");
  const to = toRevision === 0n ? head.revision : toRevision;
  const inRange = toRevision === 0n || (to >= from && to <= head.revision);
  violations.require(inRange, "to_revision", "must be a revision of the store, from from_revision on");
  violations.require([0, 32].includes(previousHash.length), "previous_hash", "must have 32 bytes");
  const fromGenesis = from > 1n || previousHash.every((byte) => byte === 0);
  violations.require(fromGenesis, "previous_hash", "must be zeros before revision 1");
  violations.require(checkpoints.length <= checkpointsMax, "checkpoints", `must be at most ${checkpointsMax}`);
  const short = checkpoints.every(({ length }) => length <= statementLengthMax);
  violations.require(short, "checkpoints", `must have at most ${statementLengthMax} characters each`);
  violations.throwIfAny();
  return { from, to };
}

/** As far as one call goes: also no further than the stored checkpoints that it has read. */
function lastOfCall(from: bigint, to: bigint, stored: readonly CheckpointRow[]): bigint {
  let last = from + BigInt(verifiedRevisionsMax) - 1n;
  const lastRead = stored.length > checkpointsMax ? stored.at(-1)?.revision : undefined;
  if (lastRead !== undefined && lastRead < last) last = lastRead;
  return to < last ? to : last;
}

/** Where the check begins: what the caller knows, or what is stored. */
async function startOf(
  { store }: Deps,
  from: bigint,
  previousHash: Uint8Array,
): Promise<{ readonly position: ChainPosition; readonly fault?: TrailFault }> {
  const revision = from - 1n;
  if (revision === 0n) return { position: { revision, hash: genesisHash } };
  const [entry] = await store.audit.chainEntries(revision - 1n, 1);
  const hash = entry?.change?.hash;
  const known = previousHash.length > 0;
  const position = { revision, hash: known ? previousHash : (hash ?? genesisHash) };
  if (hash === undefined) return { position, fault: { kind: "REMOVED", revision, part: "change" } };
  const other = known && Buffer.compare(hash, previousHash) !== 0;
  return { position, ...(other && { fault: { kind: "REWRITTEN", revision, otherRevision: 0n } }) };
}

async function checkUpTo(
  { store }: Deps,
  check: TrailCheck,
  last: bigint,
  head: Head,
): Promise<TrailFault | undefined> {
  while (check.at.revision < last) {
    const left = Number(last - check.at.revision);
    const fault = check.take(await store.audit.chainEntries(check.at.revision, Math.min(left, pageSize)));
    if (fault !== undefined) return nameFault(store, check, fault, head);
    await nextTurn();
  }
  if (last < head.revision) return undefined;
  return check.missingAfter(head.revision) ?? (await headFault(store, check, head));
}

/** Looks at more of what follows, to tell a tail that was cut from an entry that was removed, and what changed places. */
async function nameFault(store: Deps["store"], check: TrailCheck, fault: TrailFault, head: Head): Promise<TrailFault> {
  if (fault.kind === "REMOVED" && fault.part === "entry") {
    const cut = (await store.audit.nextLogged(fault.revision)) === undefined;
    return cut ? { kind: "TAIL_CUT", revision: fault.revision } : fault;
  }
  if (fault.kind !== "CHANGED") return fault;
  const left = Number(head.revision - check.at.revision);
  return check.take(await store.audit.chainEntries(check.at.revision, Math.min(left, neighboursMax))) ?? fault;
}

/** The head must stand on the last entry, and nothing may follow it but what was committed meanwhile. */
async function headFault(store: Deps["store"], check: TrailCheck, head: Head): Promise<TrailFault | undefined> {
  const { revision, hash } = head;
  if (Buffer.compare(check.at.hash, hash) !== 0) return { kind: "HEAD_CHANGED", revision };
  const beyond = await store.audit.nextLogged(revision);
  if (beyond === undefined || beyond <= (await store.head()).revision) return undefined;
  return { kind: "HEAD_CHANGED", revision };
}

function earlier(a: TrailFault | undefined, b: TrailFault | undefined): TrailFault | undefined {
  return a === undefined || (b !== undefined && b.revision < a.revision) ? b : a;
}
