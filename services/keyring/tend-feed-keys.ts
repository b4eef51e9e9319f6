import { IchorError } from "../core/errors.ts";
import type { Mutation, StoreTransaction } from "../store/port.ts";
import { type AboutFeedKey, currentSigner, type FeedSecret, feedKey, feedKeyLeadMs, handedOver } from "./feed-keys.ts";
import {
  canSign,
  ensureSigner,
  loadSigningSecrets,
  newSigner,
  rewriteSigner,
  type SigningDeps,
  type SigningSecrets,
  signerChange,
} from "./signing-secret.ts";

/** What a rotation of the feed key came to. */
export interface FeedKeyRotation {
  /** `waiting`: a successor was announced before, and its time has not come. */
  readonly outcome: "announced" | "signs" | "waiting";
  /** Thumbprint of the successor. */
  readonly kid: string;
  /** From when on it signs, ms since the epoch. */
  readonly activateTimeMs: number;
  /** The key that vouches for it; undefined: none, so that each verifier must be told. */
  readonly predecessorId: string | undefined;
}

/** A feed key of the store, and what it does. */
export interface FeedKeyStanding {
  /** Thumbprint: what verifiers pin. */
  readonly kid: string;
  /** Ms since the epoch. */
  readonly activateTimeMs: number;
  readonly standing: "signs" | "announced" | "retired";
}

/** The store's feed keys, the newest first. */
export async function feedKeyStandings({
  store,
  masterKeys,
  now,
}: Pick<SigningDeps, "store" | "masterKeys" | "now">): Promise<readonly FeedKeyStanding[]> {
  const { keys } = await loadFeedKeys(store, { masterKeys });
  const signer = currentSigner(keys, now());
  return keys.map((key) => {
    const { kid, about } = key;
    const waits = about.activateTimeMs > now();
    return {
      ...{ kid, activateTimeMs: about.activateTimeMs },
      standing: key.id === signer?.id ? "signs" : waits ? "announced" : "retired",
    };
  });
}

/** Makes the feed key if there is none, and takes the private part from those whose successor signs. */
export async function tendFeedKeys(deps: SigningDeps): Promise<void> {
  const { store, now } = deps;
  const { keys } = await ensureSigner(deps, feedKey, () => ({ activateTimeMs: now() }));
  if (supersededBy(currentSigner(keys, now()), keys).length === 0) return;
  await store.mutate(async (tx): Promise<Mutation<void>> => {
    const { keys } = await loadFeedKeys(tx, deps);
    const superseded = supersededBy(currentSigner(keys, now()), keys);
    const [last] = superseded;
    if (last === undefined) return { result: undefined, unchanged: true };
    for (const { privateKey: _, ...retired } of superseded) await rewriteSigner(tx, deps, feedKey, retired);
    return { result: undefined, ...(await signerChange(tx, feedKey, "RetireFeedKey", last.kid)) };
  });
}

/**
 * Announces the successor of the feed key, which signs a day later; with `force` at once. One that waits isn't replaced,
 * but with `force` its time has come. If no key can sign, `force` makes one that nobody vouches for. Throws
 * SECRET_NOT_LOADED if none can, and nothing is forced.
 */
export async function rotateFeedKey(deps: SigningDeps, force: boolean): Promise<FeedKeyRotation> {
  await tendFeedKeys(deps);
  const { result } = await deps.store.mutate(async (tx): Promise<Mutation<FeedKeyRotation>> => {
    const nowMs = deps.now();
    const { keys } = await loadFeedKeys(tx, deps);
    const waiting = keys.find((key) => canSign(key) && key.about.activateTimeMs > nowMs);
    if (waiting !== undefined && !force) return { result: rotationTo(waiting, "waiting"), unchanged: true };
    const successor = waiting
      ? { ...waiting, about: { ...waiting.about, activateTimeMs: nowMs } }
      : await addSuccessor(tx, deps, currentSigner(keys, nowMs), force);
    if (waiting) await rewriteSigner(tx, deps, feedKey, successor);
    const told = await signerChange(tx, feedKey, feedKey.rotates, successor.kid);
    return { result: rotationTo(successor, force ? "signs" : "announced"), ...told };
  });
  return result;
}

async function addSuccessor(
  tx: StoreTransaction,
  deps: SigningDeps,
  signer: ReturnType<typeof currentSigner>,
  force: boolean,
): Promise<FeedSecret> {
  if (signer === undefined && !force) throw new IchorError("SECRET_NOT_LOADED", "no feed key can be opened here");
  const activateTimeMs = deps.now() + (force ? 0 : feedKeyLeadMs);
  const { key, row } = newSigner(deps, feedKey, (publicJwk) =>
    signer === undefined ? { activateTimeMs } : handedOver(signer, publicJwk, activateTimeMs),
  );
  await tx.insertSealedSecret(row);
  return key;
}

function loadFeedKeys(
  tx: Pick<StoreTransaction, "listSealedSecrets">,
  { masterKeys }: Pick<SigningDeps, "masterKeys">,
): Promise<SigningSecrets<AboutFeedKey>> {
  return loadSigningSecrets(tx, masterKeys, feedKey);
}

/** Those that still could sign, and won't any more; `newestFirst`: all of them. */
function supersededBy(current: FeedSecret | undefined, newestFirst: readonly FeedSecret[]): readonly FeedSecret[] {
  const at = newestFirst.findIndex(({ id }) => id === current?.id);
  return at < 0 ? [] : newestFirst.slice(at + 1).filter(canSign);
}

function rotationTo({ kid, about }: FeedSecret, outcome: FeedKeyRotation["outcome"]): FeedKeyRotation {
  const { activateTimeMs, predecessorId } = about;
  return { outcome, kid, activateTimeMs, predecessorId };
}
