import type { KeyObject } from "node:crypto";
import { CompactSign, compactVerify, decodeProtectedHeader } from "jose";
import type { ChainHash } from "../change.ts";
import { importVerificationKey, type PublicJwk } from "../jwt/verification-key.ts";

/** What a signed statement says: then, there, the log stood so. */
export interface Checkpoint {
  /** Counted from 1 without a gap. */
  readonly number: bigint;
  /** Id of the history. */
  readonly storeEpoch: string;
  readonly revision: bigint;
  /** Of the log up to and including `revision`, 32 bytes. */
  readonly hash: ChainHash;
  /** Ms since the epoch. */
  readonly timeMs: number;
  /** Thumbprint of the key that signs from now on, if this is what hands over to it. */
  readonly successor?: string | undefined;
}

/** What signs checkpoints, and nothing else. */
export interface CheckpointSigner {
  readonly kid: string;
  readonly publicJwk: PublicJwk;
  readonly privateKey: KeyObject;
}

/** A statement whose signature is right, by the key that it names. Whether to believe that key is for its reader to say. */
export interface SignedCheckpoint extends Checkpoint {
  /** RFC 7638 thumbprint of the key that signed it. */
  readonly kid: string;
  /** The statement itself. */
  readonly statement: string;
}

/** Header `typ` of a statement, so that it is taken for nothing else (RFC 8725 section 3.11). */
const statementType = "ichor-checkpoint";
/** Longest statement that is read, in characters; ours have some 700. */
export const statementLengthMax = 4096;

/**
 * Signs a checkpoint as a compact JWS (RFC 7515) that any JOSE library checks: EdDSA, the public key in the header, the
 * payload JSON with 64-bit numbers as text.
 */
export function signCheckpoint(checkpoint: Checkpoint, signer: CheckpointSigner): Promise<string> {
  const { number, storeEpoch, revision, hash, timeMs, successor } = checkpoint;
  const payload = {
    number: String(number),
    store_epoch: storeEpoch,
    revision: String(revision),
    hash: Buffer.from(hash).toString("hex"),
    time: new Date(timeMs).toISOString(),
    successor,
  };
  const { kty = "", crv = "", x = "" } = signer.publicJwk;
  return new CompactSign(Buffer.from(JSON.stringify(payload)))
    .setProtectedHeader({ alg: "EdDSA", typ: statementType, kid: signer.kid, jwk: { kty, crv, x } })
    .sign(signer.privateKey);
}

/** Reads a statement; undefined unless it is one, signed by the key in its header. */
export async function readCheckpoint(unverifiedText: string): Promise<SignedCheckpoint | undefined> {
  if (unverifiedText.length > statementLengthMax) return undefined;
  try {
    const { typ, kid, jwk } = decodeProtectedHeader(unverifiedText);
    if (typ !== statementType || typeof kid !== "string" || jwk === undefined) return undefined;
    // Refuses a key whose name is not its thumbprint.
    const { key } = importVerificationKey({ ...(jwk as PublicJwk), alg: "EdDSA", kid });
    const { payload } = await compactVerify(unverifiedText, key, { algorithms: ["EdDSA"] });
    const checkpoint = parsePayload(JSON.parse(Buffer.from(payload).toString("utf8")));
    return checkpoint && { ...checkpoint, kid, statement: unverifiedText };
  } catch {
    return undefined;
  }
}

/**
 * Says which of these keys' statements to believe: those of a trusted key, and of keys that a believed one handed over
 * to. `trusted`: thumbprints.
 */
export function believedKeys(statements: readonly SignedCheckpoint[], trusted: Iterable<string>): ReadonlySet<string> {
  const believed = new Set(trusted);
  for (const { kid, successor } of [...statements].sort((a, b) => (a.number < b.number ? -1 : 1))) {
    if (believed.has(kid) && successor !== undefined) believed.add(successor);
  }
  return believed;
}

function parsePayload(value: unknown): Checkpoint | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { number, store_epoch, revision, hash, time, successor } = value as Readonly<Record<string, unknown>>;
  const timeMs = typeof time === "string" ? Date.parse(time) : Number.NaN;
  if (!isCount(number) || !isCount(revision) || typeof store_epoch !== "string" || Number.isNaN(timeMs))
    return undefined;
  if (typeof hash !== "string" || !/^[0-9a-f]{64}$/.test(hash)) return undefined;
  if (successor !== undefined && typeof successor !== "string") return undefined;
  return {
    number: BigInt(number),
    storeEpoch: store_epoch,
    revision: BigInt(revision),
    hash: Buffer.from(hash, "hex"),
    timeMs,
    ...(successor !== undefined && { successor }),
  };
}

function isCount(value: unknown): value is string {
  return typeof value === "string" && /^\d{1,18}$/.test(value);
}
