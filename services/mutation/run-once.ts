import type { DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Change } from "../core/change.ts";
import type { KeyId } from "../core/ids.ts";
import { recordLifetimeMs } from "../core/repeat-lifetimes.ts";
import type { Call } from "../rpc/call.ts";
import type { IdempotencyRecord, Mutation, Store, StoreTransaction } from "../store/port.ts";
import { type AnswerSealer, argumentBytesOf, idempotencyRecord, replayedAnswer } from "./idempotency.ts";

export interface MutationDeps {
  readonly store: Store;
  readonly sealer: AnswerSealer;
  /** Ms since the epoch. */
  readonly now: () => number;
}

/** A request that can be repeated under its `request_id`. */
export type RepeatableRequest<M extends DescMethodUnary> = MessageShape<M["input"]> & { readonly requestId: string };

/** What a mutation did, or that it did nothing. */
export type Outcome<T> =
  | { readonly result: T; readonly unchanged: true }
  | {
      readonly result: T;
      readonly change: Change;
      /** The id of what was changed. */
      readonly target: string;
      /** SHA-256 of the target, 32 bytes each. */
      readonly beforeDigest?: Uint8Array | undefined;
      readonly afterDigest?: Uint8Array | undefined;
      /** The key whose end erases the kept answer; default the caller's. */
      readonly keyId?: KeyId;
    };

/** How to do a mutation, and how to answer when it was done before. */
export interface Repeatable<A> {
  /** Runs again after a conflict, so it has no effects but through `tx`. */
  readonly work: (tx: StoreTransaction, revision: bigint) => Promise<Outcome<A>>;
  /** May this caller still be told? Throws if not. */
  readonly authorizeReplay?: (tx: StoreTransaction, record: IdempotencyRecord) => Promise<void>;
  /** The answer to a repeat whose answer is no longer kept. */
  readonly recall: (tx: StoreTransaction, record: IdempotencyRecord) => Promise<A>;
  /** Tells apart who may repeat: another one's `request_id` is another. */
  readonly repeatedBy?: string;
}

/**
 * Runs a mutation in one transaction, with its log entry, its audit event and its idempotency record; unless
 * `request_id` says that it was done: then tells the answer again.
 */
export async function runOnce<M extends DescMethodUnary>(
  deps: MutationDeps,
  call: Pick<Call, "caller" | "tenantId" | "clientAddress">,
  method: M,
  request: RepeatableRequest<M>,
  { work, authorizeReplay, recall, repeatedBy }: Repeatable<MessageInitShape<M["output"]>>,
): Promise<MessageInitShape<M["output"]>> {
  type Answer = MessageInitShape<M["output"]>;
  const { caller, tenantId } = call;
  const { requestId } = request;
  const name = repeatedBy === undefined ? method.name : `${method.name}/${repeatedBy}`;
  const once = requestId === "" ? undefined : { tenantId, callerKeyId: caller.keyId, method: name, requestId };
  const argumentBytes = once && argumentBytesOf(method.input, request);
  const { result } = await deps.store.mutate<Answer>(async (tx, revision): Promise<Mutation<Answer>> => {
    if (once !== undefined && argumentBytes !== undefined) {
      const record = await tx.getIdempotencyRecord(once);
      const nowMs = deps.now();
      if (record !== undefined && nowMs - record.createTimeMs < recordLifetimeMs) {
        await authorizeReplay?.(tx, record);
        const answer = replayedAnswer(deps.sealer, record, argumentBytes, method.output, nowMs);
        return { result: (answer as Answer | undefined) ?? (await recall(tx, record)), unchanged: true };
      }
    }
    const outcome = await work(tx, revision);
    if ("unchanged" in outcome) return outcome;
    const { change, target, beforeDigest, afterDigest, keyId = caller.keyId } = outcome;
    if (once !== undefined && argumentBytes !== undefined) {
      const about = { keyId, revision, createTimeMs: deps.now() };
      await tx.insertIdempotencyRecord(
        idempotencyRecord(deps.sealer, once, argumentBytes, about, method.output, outcome.result),
      );
    }
    return {
      result: outcome.result,
      change,
      audit: {
        tenantId: "tenantId" in change ? change.tenantId : tenantId,
        action: method.name,
        target,
        caller: { keyId: caller.keyId, tenantId: caller.tenantId },
        address: call.clientAddress,
        requestId,
        ...(beforeDigest && { beforeDigest }),
        ...(afterDigest && { afterDigest }),
      },
    };
  });
  return result;
}
