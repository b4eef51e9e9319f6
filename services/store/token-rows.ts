import type { SigningKeyId, TenantId } from "../core/ids.ts";
import type { JwtAlgorithm } from "../core/jwt/algorithms.ts";
import type { SigningKey, SigningKeyState } from "../core/signing-key.ts";

/** A row of `signing_key`, by its column's names in the models. */
export interface SigningKeyRow {
  readonly id: string;
  readonly tenantId: string;
  readonly kid: string;
  readonly algorithm: string;
  readonly state: string;
  readonly publicJwk: string;
  readonly createTimeMs: bigint;
  readonly activateTimeMs: bigint | null;
  readonly retireTimeMs: bigint | null;
  readonly removeTimeMs: bigint | null;
  readonly dueTimeMs: bigint | null;
}

export function signingKeyOf(row: SigningKeyRow): SigningKey {
  const { activateTimeMs, retireTimeMs, removeTimeMs, dueTimeMs } = row;
  return {
    id: row.id as SigningKeyId,
    tenantId: row.tenantId as TenantId,
    kid: row.kid,
    algorithm: row.algorithm as JwtAlgorithm,
    state: row.state as SigningKeyState,
    publicJwk: JSON.parse(row.publicJwk),
    createTimeMs: Number(row.createTimeMs),
    ...(activateTimeMs !== null && { activateTimeMs: Number(activateTimeMs) }),
    ...(retireTimeMs !== null && { retireTimeMs: Number(retireTimeMs) }),
    ...(removeTimeMs !== null && { removeTimeMs: Number(removeTimeMs) }),
    ...(dueTimeMs !== null && { dueTimeMs: Number(dueTimeMs) }),
  };
}

export function signingKeyRowOf(key: SigningKey) {
  const time = (value: number | undefined) => (value === undefined ? null : BigInt(value));
  return {
    id: key.id as string,
    tenantId: key.tenantId as string,
    kid: key.kid,
    algorithm: key.algorithm as string,
    state: key.state as string,
    publicJwk: JSON.stringify(key.publicJwk),
    createTimeMs: BigInt(key.createTimeMs),
    activateTimeMs: time(key.activateTimeMs),
    retireTimeMs: time(key.retireTimeMs),
    removeTimeMs: time(key.removeTimeMs),
    dueTimeMs: time(key.dueTimeMs),
  } satisfies SigningKeyRow;
}
