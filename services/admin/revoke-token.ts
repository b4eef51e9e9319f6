import type { MessageShape } from "@bufbuild/protobuf";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import type { RevokeTokenRequestSchema } from "../../gen/ichor/v1/token_pb.ts";
import { keyDigest, tenantDigest } from "../core/change-chain.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { type KeyId, parseId, type TokenId } from "../core/ids.ts";
import { revokeDerivedTokens } from "../core/key-life.ts";
import { findTenant } from "../mutation/find-tenant.ts";
import { keyNotFound, requireMayTouch } from "../mutation/mutate-key.ts";
import { revokeOneToken } from "../mutation/revoke-one-token.ts";
import { type Outcome, runOnce } from "../mutation/run-once.ts";
import type { Call, Unary } from "../rpc/call.ts";
import type { StoreTransaction } from "../store/port.ts";
import { authenticToken } from "../verification/authentic-token.ts";
import { checkRequestId } from "../wire/request-fields.ts";
import { fromTimestamp } from "../wire/time.ts";
import type { AdminDeps } from "./deps.ts";

type Target =
  | { readonly kind: "token"; readonly keyId: KeyId; readonly tokenId: TokenId }
  | { readonly kind: "key"; readonly keyId: KeyId }
  | { readonly kind: "issued_before"; readonly timeMs: number };

/** RevokeToken: ends one derived token, all of a key, or all that a tenant issued before a time. */
export function revokeToken(deps: AdminDeps): Unary<typeof AdminService.method.revokeToken> {
  return async (request, call) => {
    const target = await parseTarget(deps, request, call);
    return runOnce(deps, call, AdminService.method.revokeToken, request, {
      work: (tx, revision) => revoke(tx, call, target, revision, deps.now()),
      recall: async (_tx, { revision }) => ({ revision }),
    });
  };
}

async function parseTarget(
  deps: AdminDeps,
  { target, requestId }: MessageShape<typeof RevokeTokenRequestSchema>,
  call: Call,
): Promise<Target> {
  const violations = new FieldViolations();
  checkRequestId(violations, requestId);
  const id = <P extends "key" | "tok">(prefix: P, field: string, text: string) => {
    const parsed = parseId(prefix, text);
    violations.require(parsed !== undefined, field, `must be a TypeID ${prefix}_…`);
    return parsed;
  };
  switch (target.case) {
    case "token": {
      violations.throwIfAny();
      return { kind: "token", ...(await authenticToken(deps.verifyPresented, target.value, call)) };
    }
    case "tokenRef": {
      const keyId = id("key", "token_ref.key_id", target.value.keyId);
      const tokenId = id("tok", "token_ref.token_id", target.value.tokenId);
      violations.throwIfAny();
      return { kind: "token", keyId: keyId as KeyId, tokenId: tokenId as TokenId };
    }
    case "keyId": {
      const keyId = id("key", "key_id", target.value);
      violations.throwIfAny();
      return { kind: "key", keyId: keyId as KeyId };
    }
    case "issuedBefore": {
      const timeMs = fromTimestamp(target.value);
      const past = timeMs !== undefined && timeMs >= 0 && timeMs <= deps.now();
      violations.require(past, "issued_before", "must not be in the future");
      violations.throwIfAny();
      return { kind: "issued_before", timeMs: timeMs ?? 0 };
    }
    case undefined:
      violations.add("target", "must name a token, a key or a time");
      violations.throwIfAny();
      throw new TypeError("unreachable");
  }
}

async function revoke(
  tx: StoreTransaction,
  call: Call,
  target: Target,
  revision: bigint,
  nowMs: number,
): Promise<Outcome<{ revision: bigint }>> {
  switch (target.kind) {
    case "token":
      return revokeOneToken(tx, call, target, revision, nowMs);
    case "key":
      return raiseEpoch(tx, call, target.keyId, revision, nowMs);
    case "issued_before":
      return raiseCutOff(tx, call, target.timeMs, revision, nowMs);
  }
}

async function raiseEpoch(
  tx: StoreTransaction,
  { caller, tenantId }: Call,
  keyId: KeyId,
  revision: bigint,
  nowMs: number,
): Promise<Outcome<{ revision: bigint }>> {
  const before = await tx.getKey(keyId);
  if (before === undefined || before.tenantId !== tenantId) throw keyNotFound();
  requireMayTouch(caller, before);
  // A revoked key's tokens have ended with it.
  if (before.state === "REVOKED") return { result: { revision: revision - 1n }, unchanged: true };
  const after = { ...revokeDerivedTokens(before, nowMs), revision };
  await tx.updateKey(after);
  return {
    result: { revision },
    change: { kind: "key", tenantId, event: "tokens_revoked", keyIds: [keyId], tokenEpoch: after.tokenEpoch },
    target: keyId,
    beforeDigest: keyDigest(before),
    afterDigest: keyDigest(after),
  };
}

/** Times of issue are whole seconds: within one, it can't be told which tokens came first, so all of them end. */
async function raiseCutOff(
  tx: StoreTransaction,
  { tenantId }: Call,
  timeMs: number,
  revision: bigint,
  nowMs: number,
): Promise<Outcome<{ revision: bigint }>> {
  const before = await findTenant(tx, tenantId);
  const tokensIssuedBeforeMs = Math.ceil(timeMs / 1000) * 1000;
  if (tokensIssuedBeforeMs <= (before.tokensIssuedBeforeMs ?? 0))
    return { result: { revision: revision - 1n }, unchanged: true };
  const after = { ...before, tokensIssuedBeforeMs, updateTimeMs: nowMs };
  await tx.updateTenant(after);
  return {
    result: { revision },
    change: { kind: "tenant", tenantId, event: "tokens_revoked", tokensIssuedBeforeMs },
    target: tenantId,
    beforeDigest: tenantDigest(before),
    afterDigest: tenantDigest(after),
  };
}
