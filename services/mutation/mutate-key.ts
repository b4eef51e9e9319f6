import type { DescMethodUnary, MessageInitShape } from "@bufbuild/protobuf";
import { requireCoversReserved, requireMayShowSecret } from "../core/access.ts";
import type { ApiKey } from "../core/api-key.ts";
import { type Caller, isTokenCaller } from "../core/caller.ts";
import type { KeyEvent } from "../core/change.ts";
import { keyDigest } from "../core/change-chain.ts";
import { IchorError } from "../core/errors.ts";
import type { KeyId } from "../core/ids.ts";
import { isRootKey, keyStatus } from "../core/key-life.ts";
import { isNarrower } from "../core/narrower.ts";
import { keyBounds } from "../core/verification.ts";
import type { Call } from "../rpc/call.ts";
import type { StoreTransaction } from "../store/port.ts";
import { deleteKeys } from "./delete-keys.ts";
import { type MutationDeps, type Repeatable, type RepeatableRequest, runOnce } from "./run-once.ts";

/** What a change of one key is: which event it is to the log, how the key changes, how the answer is told. */
export interface KeyMutation<M extends DescMethodUnary> {
  readonly event: KeyEvent;
  /** The key afterwards; the same object: nothing changes; undefined: it is gone. Runs again after a conflict. */
  readonly change: (
    key: ApiKey,
    nowMs: number,
    tx: StoreTransaction,
  ) => ApiKey | undefined | Promise<ApiKey | undefined>;
  readonly respond: (key: ApiKey, revision: bigint, nowMs: number) => MessageInitShape<M["output"]>;
  /** The answer to a repeat whose credential is no longer kept; `key` is undefined if it is gone. */
  readonly recall: (key: ApiKey | undefined, revision: bigint, nowMs: number) => MessageInitShape<M["output"]>;
  /** As Repeatable.repeatedBy. */
  readonly repeatedBy?: string;
}

/**
 * Changes one key of the acting tenant in one transaction, with its log entry and idempotency record.
 * Every rule that holds whatever the change is lives here: the tenant's border, the reserved scopes that the caller must
 * cover, the last root credential, the erasure of answers that hold a dead secret.
 */
export async function mutateKey<M extends DescMethodUnary>(
  deps: MutationDeps,
  call: Call,
  method: M,
  request: RepeatableRequest<M>,
  keyId: KeyId,
  mutation: KeyMutation<M>,
): Promise<MessageInitShape<M["output"]>> {
  const showsSecret = mutation.event === "rotated";
  const mayTouch = showsSecret ? requireMayShowSecret : requireCoversReserved;
  return runOnce(deps, call, method, request, {
    ...replayOf(deps, call, mutation, mayTouch),
    work: async (tx, revision) => {
      const nowMs = deps.now();
      const before = await tx.getKey(keyId);
      if (before === undefined || before.tenantId !== call.tenantId) throw keyNotFound();
      // Who presented the very key covers what it has, but can't change that beyond what it covers by itself.
      if (mutation.event === "changed") mayTouch(call.caller, before.scopes);
      else requireMayTouch(call.caller, before, mayTouch);
      const changed = await mutation.change(before, nowMs, tx);
      if (changed === before) return { result: mutation.respond(before, revision - 1n, nowMs), unchanged: true };
      const after = changed && { ...changed, revision };
      if (after !== undefined) mayTouch(call.caller, without(after.scopes, before.scopes));
      await requireRootsRemain(tx, [{ before, after }], nowMs);
      if (after === undefined) await deleteKeys(tx, [before], nowMs);
      else await tx.updateKey(after);
      if (endsSecrets.has(mutation.event)) await tx.eraseIdempotentAnswers(keyId);
      return {
        result: mutation.respond(after ?? before, revision, nowMs),
        change: {
          kind: "key",
          tenantId: call.tenantId,
          event: mutation.event,
          keyIds: [keyId],
          ...(after && raisedEpoch(before, after)),
        },
        target: keyId,
        keyId,
        beforeDigest: keyDigest(before),
        afterDigest: after && keyDigest(after),
      };
    },
  });
}

/** Makes a key, issued or imported, in one transaction, with its log entry and idempotency record. */
export async function insertKey<M extends DescMethodUnary>(
  deps: MutationDeps,
  call: Call,
  method: M,
  request: RepeatableRequest<M>,
  make: (tx: StoreTransaction, revision: bigint, nowMs: number) => Promise<ApiKey>,
  answers: Pick<KeyMutation<M>, "respond" | "recall">,
): Promise<MessageInitShape<M["output"]>> {
  return runOnce(deps, call, method, request, {
    ...replayOf(deps, call, answers, requireMayShowSecret),
    work: async (tx, revision) => {
      const nowMs = deps.now();
      const key = await make(tx, revision, nowMs);
      requireMayShowSecret(call.caller, key.scopes);
      await tx.insertKey(key);
      return {
        result: answers.respond(key, revision, nowMs),
        change: {
          kind: "key",
          tenantId: call.tenantId,
          event: key.kind === "IMPORTED_KEY" ? "imported" : "issued",
          keyIds: [key.id],
        },
        target: key.id,
        keyId: key.id,
        afterDigest: keyDigest(key),
      };
    },
  });
}

/**
 * Throws RESERVED_SCOPE_NOT_COVERED unless the caller covers the reserved scopes of a key, by `rule`; who presented the
 * very key covers whatever it has.
 */
export function requireMayTouch(
  caller: Caller,
  key: Pick<ApiKey, "id" | "scopes">,
  rule: (caller: Caller, scopes: readonly string[]) => void = requireCoversReserved,
): void {
  if (caller.keyId !== key.id || isTokenCaller(caller)) rule(caller, key.scopes);
}

/** The public text is the same for a key of another tenant as for none. */
export function keyNotFound(): IchorError {
  return new IchorError("KEY_NOT_FOUND", "no key of this id in the tenant");
}

const endsSecrets: ReadonlySet<KeyEvent> = new Set<KeyEvent>(["rotated", "revoked"]);

/** How a call about a key is answered again: authorised anew, by the same rule. */
function replayOf<M extends DescMethodUnary>(
  deps: MutationDeps,
  { caller }: Call,
  { recall, repeatedBy }: Pick<KeyMutation<M>, "recall" | "repeatedBy">,
  mayTouch: (caller: Caller, scopes: readonly string[]) => void,
): Omit<Repeatable<MessageInitShape<M["output"]>>, "work"> {
  return {
    authorizeReplay: async (tx, { keyId }) => {
      const key = await tx.getKey(keyId);
      if (key !== undefined) requireMayTouch(caller, key, mayTouch);
    },
    recall: async (tx, { keyId, revision }) => recall(await tx.getKey(keyId), revision, deps.now()),
    ...(repeatedBy !== undefined && { repeatedBy }),
  };
}

/** Tells the log of a raised token epoch, whatever raised it. */
function raisedEpoch(before: ApiKey, after: ApiKey): { readonly tokenEpoch?: number } {
  return after.tokenEpoch > before.tokenEpoch ? { tokenEpoch: after.tokenEpoch } : {};
}

/**
 * Throws LAST_ROOT_CREDENTIAL if no live root credential would remain as good as it was: nobody could make another one over
 * the wire. `after` is undefined for a key that ends.
 */
export async function requireRootsRemain(
  tx: StoreTransaction,
  changes: readonly { readonly before: ApiKey; readonly after: ApiKey | undefined }[],
  nowMs: number,
): Promise<void> {
  const isLiveRoot = (key: ApiKey) => isRootKey(key) && keyStatus(key, nowMs) === "ACTIVE";
  const asGood = (key: ApiKey, after: ApiKey) =>
    isLiveRoot(after) && isNarrower(keyBounds(key, undefined), keyBounds(after, undefined));
  const lost = changes
    .filter(({ before, after }) => isLiveRoot(before) && (after === undefined || !asGood(before, after)))
    .map(({ before }) => before.id);
  if (lost.length === 0) return;
  const roots = await tx.liveRootKeyIds(nowMs);
  if (roots.length > 0 && without(roots, lost).length === 0) {
    throw new IchorError("LAST_ROOT_CREDENTIAL", "this is the last live root credential; issue another one first");
  }
}

function without<T>(list: readonly T[], other: readonly T[]): readonly T[] {
  return list.filter((item) => !other.includes(item));
}
