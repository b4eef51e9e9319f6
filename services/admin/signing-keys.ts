import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { isAudience } from "../core/audience.ts";
import { type AudienceGeneration, nextGeneration } from "../core/audience-generation.ts";
import { signingKeysDigest } from "../core/change-chain.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { parseId, type SigningKeyId, type TenantId } from "../core/ids.ts";
import { compromised, keyIn, rotated, type SigningKey, type SigningKeyStep } from "../core/signing-key.ts";
import type { TenantSettings } from "../core/tenant.ts";
import { findTenant } from "../mutation/find-tenant.ts";
import { type Repeatable, runOnce } from "../mutation/run-once.ts";
import type { Unary } from "../rpc/call.ts";
import { checkRequestId, requireRequestId } from "../wire/request-fields.ts";
import { signingKeyToProto } from "../wire/signing-key.ts";
import type { AdminDeps } from "./deps.ts";

const { listSigningKeys: list, rotateSigningKey: rotate, revokeSigningKey: revoke } = AdminService.method;
const { rotateAudienceKey: rotateAudience } = AdminService.method;

/** ListSigningKeys: every signing key of the tenant, without private parts. */
export function listSigningKeys({ store }: Pick<AdminDeps, "store">): Unary<typeof list> {
  return async (_request, { tenantId }) => ({
    signingKeys: (await store.tokens.listSigningKeys(tenantId)).map(signingKeyToProto),
  });
}

/** RotateSigningKey: the next key signs from now on. */
export function rotateSigningKey(deps: AdminDeps): Unary<typeof rotate> {
  return async (request, call) => {
    requireRequestId(request.requestId);
    const { force } = request;
    const steps = await keyStep(
      deps,
      call.tenantId,
      (keys, fresh, times) => rotated(keys, fresh, { ...times, force }),
      (keys) => keyIn(keys, "ACTIVE"),
    );
    return runOnce(deps, call, rotate, request, steps);
  };
}

/** RevokeSigningKey: nothing that the key signed verifies any more. */
export function revokeSigningKey(deps: AdminDeps): Unary<typeof revoke> {
  return async (request, call) => {
    const violations = new FieldViolations();
    const id = parseId("sig", request.signingKeyId);
    violations.require(id !== undefined, "signing_key_id", "must be a TypeID sig_…");
    checkRequestId(violations, request.requestId);
    violations.throwIfAny();
    const steps = await keyStep(
      deps,
      call.tenantId,
      (keys, fresh, times) => compromised(keys, id as SigningKeyId, fresh, times),
      (keys) => keys.find((key) => key.id === id) as SigningKey,
    );
    return runOnce(deps, call, revoke, request, steps);
  };
}

/** RotateAudienceKey: the next generation of an audience's macaroon key. */
export function rotateAudienceKey(deps: AdminDeps): Unary<typeof rotateAudience> {
  return async (request, call) => {
    const { audience, revokePrevious } = request;
    const { tenantId } = call;
    const violations = new FieldViolations();
    violations.require(isAudience(audience), "audience", "is not an audience");
    checkRequestId(violations, request.requestId);
    violations.throwIfAny();
    const isOf = (one: AudienceGeneration) => one.audience === audience;
    const newest = (all: readonly AudienceGeneration[]) => BigInt(all.filter(isOf).at(-1)?.generation ?? 1);
    return runOnce(deps, call, rotateAudience, request, {
      work: async (tx, revision) => {
        const stored = (await tx.tokens.listAudienceGenerations(tenantId)).filter(isOf);
        const generations = nextGeneration(audience, stored, deps.now(), revokePrevious);
        await tx.tokens.putAudienceGenerations(tenantId, audience, generations);
        return {
          result: { audience, generation: newest(generations), revision },
          change: { kind: "audience_key", tenantId, event: "rotated", audience },
          target: audience,
        };
      },
      recall: async (tx, { revision }) => {
        return { audience, generation: newest(await tx.tokens.listAudienceGenerations(tenantId)), revision };
      },
    });
  };
}

type Times = { readonly nowMs: number; readonly periodMs: number };
type Decide = (keys: readonly SigningKey[], fresh: SigningKey, times: Times) => SigningKeyStep | undefined;

/** A step of the tenant's signing keys, and the key that its answer tells. The fresh key is made before the transaction. */
async function keyStep(
  { store, keyring, now }: AdminDeps,
  tenantId: TenantId,
  decide: Decide,
  told: (keys: readonly SigningKey[]) => SigningKey,
): Promise<Repeatable<{ signingKey: ReturnType<typeof signingKeyToProto>; revision: bigint }>> {
  const { settings } = await findTenant(store, tenantId);
  const fresh = await keyring.newSigningKey(tenantId, settings.signingAlgorithm);
  return {
    work: async (tx, revision) => {
      const keys = await tx.tokens.listSigningKeys(tenantId);
      const step = decide(keys, fresh.key, timesOf(settings, now()));
      const answer = (after: readonly SigningKey[], at: bigint) => ({
        signingKey: signingKeyToProto(told(after)),
        revision: at,
      });
      if (step === undefined) return { result: answer(keys, revision - 1n), unchanged: true };
      const change = await keyring.saveStep(tx, tenantId, step, fresh);
      const after = await tx.tokens.listSigningKeys(tenantId);
      return {
        result: answer(after, revision),
        change,
        target: told(after).id,
        beforeDigest: signingKeysDigest(keys),
        afterDigest: signingKeysDigest(after),
      };
    },
    recall: async (tx, { revision }) => ({
      signingKey: signingKeyToProto(told(await tx.tokens.listSigningKeys(tenantId))),
      revision,
    }),
  };
}

function timesOf({ signingKeyPeriodSeconds }: TenantSettings, nowMs: number): Times {
  return { nowMs, periodMs: signingKeyPeriodSeconds * 1000 };
}
