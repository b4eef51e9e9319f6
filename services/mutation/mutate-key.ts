import type { DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { requireCoversReserved } from "../core/access.ts";
import type { ApiKey } from "../core/api-key.ts";
import type { KeyEvent } from "../core/change.ts";
import { keyDigest } from "../core/change-chain.ts";
import { IchorError } from "../core/errors.ts";
import type { KeyId } from "../core/ids.ts";
import { isRootKey, keyStatus } from "../core/key-life.ts";
import type { Call } from "../rpc/call.ts";
import type { Mutation, Store, StoreTransaction } from "../store/port.ts";
import {
  type AnswerSealer,
  argumentBytesOf,
  idempotencyRecord,
  recordLifetimeMs,
  replayedAnswer,
} from "./idempotency.ts";

export interface MutationDeps {
  readonly store: Store;
  readonly sealer: AnswerSealer;
  /** Ms since the epoch. */
  readonly now: () => number;
}

/** What a change of one key is: which event it is to the log, how the key changes, how the answer is told. */
export interface KeyMutation<M extends DescMethodUnary> {
  readonly event: KeyEvent;
  /** The key afterwards; the same object: nothing changes; undefined: it is gone. Runs again after a conflict. */
  readonly change: (key: ApiKey, nowMs: number) => ApiKey | undefined;
  readonly respond: (key: ApiKey, revision: bigint, nowMs: number) => MessageInitShape<M["output"]>;
  /** The answer to a repeat whose credential is no longer kept; `key` is undefined if it is gone. */
  readonly recall: (key: ApiKey | undefined, revision: bigint, nowMs: number) => MessageInitShape<M["output"]>;
}

/** A request that names a key and can be repeated. */
type KeyRequest<M extends DescMethodUnary> = MessageShape<M["input"]> & { readonly requestId: string };

/**
 * Changes one key of the acting tenant in one transaction, with its log entry and idempotency record.
 * Every rule that holds whatever the change is lives here: the tenant's border, the reserved scopes that the caller must
 * cover, the last root credential, the erasure of answers that hold a dead secret.
 */
export async function mutateKey<M extends DescMethodUnary>(
  deps: MutationDeps,
  call: Call,
  method: M,
  request: KeyRequest<M>,
  keyId: KeyId,
  mutation: KeyMutation<M>,
): Promise<MessageInitShape<M["output"]>> {
  return mutateOnce(deps, call, method, request, mutation.recall, async (tx, revision) => {
    const nowMs = deps.now();
    const before = await tx.getKey(keyId);
    if (before === undefined || before.tenantId !== call.tenantId) throw keyNotFound();
    requireCoversReserved(call.caller, before.scopes);
    const changed = mutation.change(before, nowMs);
    if (changed === before) return { result: mutation.respond(before, revision - 1n, nowMs), unchanged: true };
    const after = changed && { ...changed, revision };
    await requireRootRemains(tx, before, after, nowMs);
    if (after === undefined) await tx.deleteKey(keyId);
    else await tx.updateKey(after);
    if (endsSecrets.has(mutation.event)) await tx.eraseIdempotentAnswers(keyId);
    return {
      result: mutation.respond(after ?? before, revision, nowMs),
      keyId,
      event: mutation.event,
      before,
      after,
    };
  });
}

/** Makes a key in one transaction, with its log entry and idempotency record. */
export async function insertKey<M extends DescMethodUnary>(
  deps: MutationDeps,
  call: Call,
  method: M,
  request: KeyRequest<M>,
  make: (tx: StoreTransaction, revision: bigint, nowMs: number) => Promise<ApiKey>,
  answers: Pick<KeyMutation<M>, "respond" | "recall">,
): Promise<MessageInitShape<M["output"]>> {
  return mutateOnce(deps, call, method, request, answers.recall, async (tx, revision) => {
    const nowMs = deps.now();
    const key = await make(tx, revision, nowMs);
    requireCoversReserved(call.caller, key.scopes);
    await tx.insertKey(key);
    return {
      result: answers.respond(key, revision, nowMs),
      keyId: key.id,
      event: "issued",
      before: undefined,
      after: key,
    };
  });
}

/** The public text is the same for a key of another tenant as for none. */
export function keyNotFound(): IchorError {
  return new IchorError("KEY_NOT_FOUND", "no key of this id in the tenant");
}

const endsSecrets: ReadonlySet<KeyEvent> = new Set<KeyEvent>(["rotated", "revoked", "deleted"]);

type Done<T> =
  | { readonly result: T; readonly unchanged: true }
  | {
      readonly result: T;
      readonly keyId: KeyId;
      readonly event: KeyEvent;
      readonly before: ApiKey | undefined;
      readonly after: ApiKey | undefined;
    };

/** Runs `work` in a mutating transaction, unless `request_id` says that it was done: then tells the answer again. */
async function mutateOnce<M extends DescMethodUnary>(
  deps: MutationDeps,
  call: Call,
  method: M,
  request: KeyRequest<M>,
  recall: KeyMutation<M>["recall"],
  work: (tx: StoreTransaction, revision: bigint) => Promise<Done<MessageInitShape<M["output"]>>>,
): Promise<MessageInitShape<M["output"]>> {
  type Answer = MessageInitShape<M["output"]>;
  const { caller, tenantId } = call;
  const once =
    request.requestId === ""
      ? undefined
      : { tenantId, callerKeyId: caller.keyId, method: method.name, requestId: request.requestId };
  const argumentBytes = once && argumentBytesOf(method.input, request);
  const { result } = await deps.store.mutate<Answer>(async (tx, revision): Promise<Mutation<Answer>> => {
    if (once !== undefined && argumentBytes !== undefined) {
      const record = await tx.getIdempotencyRecord(once);
      const nowMs = deps.now();
      if (record !== undefined && nowMs - record.createTimeMs < recordLifetimeMs) {
        const key = await tx.getKey(record.keyId);
        if (key !== undefined) requireCoversReserved(caller, key.scopes);
        const answer = replayedAnswer(deps.sealer, record, argumentBytes, method.output, nowMs);
        return { result: (answer as Answer | undefined) ?? recall(key, record.revision, nowMs), unchanged: true };
      }
    }
    const done = await work(tx, revision);
    if ("unchanged" in done) return done;
    if (once !== undefined && argumentBytes !== undefined) {
      const about = { keyId: done.keyId, revision, createTimeMs: deps.now() };
      await tx.insertIdempotencyRecord(
        idempotencyRecord(deps.sealer, once, argumentBytes, about, method.output, done.result),
      );
    }
    return {
      result: done.result,
      change: { kind: "key", tenantId, event: done.event, keyIds: [done.keyId] },
      audit: {
        tenantId,
        action: method.name,
        target: done.keyId,
        caller: { keyId: caller.keyId, tenantId: caller.tenantId },
        address: call.clientAddress,
        requestId: request.requestId,
        ...(done.before && { beforeDigest: keyDigest(done.before) }),
        ...(done.after && { afterDigest: keyDigest(done.after) }),
      },
    };
  });
  return result;
}

/** The last live root credential can't be taken away: nobody could make another one over the wire. */
async function requireRootRemains(
  tx: StoreTransaction,
  before: ApiKey,
  after: ApiKey | undefined,
  nowMs: number,
): Promise<void> {
  const isLiveRoot = (key: ApiKey) => isRootKey(key) && keyStatus(key, nowMs) === "ACTIVE";
  if (!isLiveRoot(before) || (after !== undefined && isLiveRoot(after))) return;
  const roots = await tx.liveRootKeyIds(nowMs);
  if (roots.includes(before.id) && roots.length === 1) {
    throw new IchorError("LAST_ROOT_CREDENTIAL", "this is the last live root credential; issue another one first");
  }
}
