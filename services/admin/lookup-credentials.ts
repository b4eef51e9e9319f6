import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import type { ApiKey, CredentialKind } from "../core/api-key.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { keyStatus } from "../core/key-life.ts";
import { revokeKeys } from "../mutation/revoke-keys.ts";
import { runOnce } from "../mutation/run-once.ts";
import type { Call, Unary } from "../rpc/call.ts";
import { credentialKindToProto, keyStatusToProto, revocationReasonFromProto } from "../wire/enums.ts";
import { checkRequestId } from "../wire/request-fields.ts";
import type { AdminDeps } from "./deps.ts";

const textsMax = 1000;
const { lookupCredentials: method } = AdminService.method;

/** What a text is: its kind, and the key that it belongs to. */
interface Found {
  readonly kind: CredentialKind | undefined;
  readonly key: ApiKey | undefined;
}

/** LookupCredentials: what a report of leaked credentials needs. */
export function lookupCredentials(deps: AdminDeps): Unary<typeof method> {
  return async (request, call) => {
    const { texts, revoke } = request;
    const violations = new FieldViolations();
    violations.require(texts.length >= 1 && texts.length <= textsMax, "texts", `must have 1 to ${textsMax} items`);
    texts.slice(0, textsMax).forEach((text, i) => {
      violations.require(text !== "", `texts[${i}]`, "must not be empty");
    });
    const reason = revocationReasonFromProto(request.reason);
    violations.require(reason !== undefined, "reason", "is not a value that this version knows");
    checkRequestId(violations, request.requestId);
    violations.throwIfAny();
    const found = await Promise.all(texts.map((text) => lookUp(deps, call, text)));
    if (!revoke) return { results: resultsOf(found, new Map(), deps.now()) };
    const leaked = new Set(found.filter(isKey).flatMap(({ key }) => key?.id ?? []));
    return runOnce(deps, call, method, request, {
      work: async (tx, revision) => {
        const nowMs = deps.now();
        const revocation = { reason: reason ?? "UNSPECIFIED", comment: "", timeMs: nowMs };
        const done = await revokeKeys(tx, call, await tx.getKeys([...leaked]), revocation, revision);
        const now = new Map(done?.revoked.map((key) => [key.id, key]));
        const results = resultsOf(found, now, nowMs);
        if (done === undefined) return { result: { results, revision: revision - 1n }, unchanged: true };
        return { result: { results, revision }, ...done.logged };
      },
      recall: async (tx, { revision }) => {
        const now = new Map((await tx.getKeys([...leaked])).map((key) => [key.id, key]));
        return { results: resultsOf(found, now, deps.now()), revision };
      },
    });
  };
}

/** A verification that asks for nothing and counts as no use: who reports a credential doesn't use it. */
async function lookUp(deps: AdminDeps, call: Call, text: string): Promise<Found> {
  const { tenantId } = call;
  const demand = { requiredScopes: [], context: {} };
  const options = { tenantId, demand, minRevision: 0n, noCache: false, call, asReport: true };
  const { kind, key } = await deps.verifyPresented(text, options);
  return { kind, key };
}

/** A leaked token is no reason to revoke its key. */
function isKey({ kind }: Found): boolean {
  return kind === "ISSUED_KEY" || kind === "IMPORTED_KEY";
}

function resultsOf(found: readonly Found[], now: ReadonlyMap<string, ApiKey>, nowMs: number) {
  return found.map(({ kind, key: seen }, index) => {
    const key = seen && (now.get(seen.id) ?? seen);
    return {
      index,
      ...(kind && { kind: credentialKindToProto[kind] }),
      ...(key && { keyId: key.id, ownerId: key.ownerId, status: keyStatusToProto[keyStatus(key, nowMs)] }),
    };
  });
}
