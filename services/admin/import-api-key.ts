import { create, type MessageShape } from "@bufbuild/protobuf";
import { AdminService, type ImportApiKeyRequestSchema, ItemErrorSchema } from "../../gen/ichor/v1/admin_service_pb.ts";
import type { ApiKey } from "../core/api-key.ts";
import { keysDigest } from "../core/change-chain.ts";
import { importedDigest, type Pepper, sha256 } from "../core/digest.ts";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { newId, type TenantId } from "../core/ids.ts";
import { importedKeyFault } from "../core/imported-key.ts";
import type { Tenant } from "../core/tenant.ts";
import { insertKey, keyNotFound } from "../mutation/mutate-key.ts";
import { pepperToBind } from "../mutation/pepper-to-bind.ts";
import { runOnce } from "../mutation/run-once.ts";
import type { Unary } from "../rpc/call.ts";
import type { StoreTransaction } from "../store/port.ts";
import { apiKeyToProto } from "../wire/api-key.ts";
import { checkRequestId, requireRequestId } from "../wire/request-fields.ts";
import type { AdminDeps } from "./deps.ts";
import { chooseExpireTime, type KeyDraft, keyOfDraft, parseKeyDraft } from "./key-draft.ts";
import { KeyQuota, openTenant } from "./key-quota.ts";
import { type KnownCredentials, knownCredentials } from "./known-credentials.ts";

const batchMax = 1000;

type Request = MessageShape<typeof ImportApiKeyRequestSchema>;

/** A request as far as it can be checked without the tenant. */
interface Import {
  readonly draft: KeyDraft;
  /** The credential, if it was given; its rules are the tenant's. */
  readonly raw: string | undefined;
  readonly rawSha256: Uint8Array;
  readonly allowRevoked: boolean;
}

/** ImportApiKey: takes over a key that another system made. */
export function importApiKey(deps: AdminDeps): Unary<typeof AdminService.method.importApiKey> {
  return async (request, call) => {
    const violations = new FieldViolations();
    const wanted = parseImport(violations, request);
    checkRequestId(violations, request.requestId);
    violations.throwIfAny();
    return insertKey(
      deps,
      call,
      AdminService.method.importApiKey,
      request,
      async (tx, revision) => {
        const importer = await Importer.begin(deps, tx, await openTenant(tx, call.tenantId), revision, [wanted]);
        const key = await importer.make(wanted);
        await importer.finish();
        return key;
      },
      {
        respond: (key, revision, nowMs) => ({ apiKey: apiKeyToProto(key, nowMs), revision }),
        recall: (key, revision, nowMs) => ({ ...(key && { apiKey: apiKeyToProto(key, nowMs) }), revision }),
      },
    );
  };
}

/** BatchImportApiKeys: each item is checked on its own; the good ones are made in one transaction. */
export function batchImportApiKeys(deps: AdminDeps): Unary<typeof AdminService.method.batchImportApiKeys> {
  return async (request, call) => {
    const { items, requestId } = request;
    const violations = new FieldViolations();
    violations.require(items.length >= 1 && items.length <= batchMax, "items", `must have 1 to ${batchMax} items`);
    violations.throwIfAny();
    requireRequestId(requestId);
    const parsed = items.map((item) => attempt(() => parseItem(item)));
    const good = parsed.filter(isGood);
    return runOnce(deps, call, AdminService.method.batchImportApiKeys, request, {
      work: async (tx, revision) => {
        const importer = await Importer.begin(deps, tx, await openTenant(tx, call.tenantId), revision, good);
        const made: (ApiKey | IchorError)[] = [];
        for (const item of parsed) {
          made.push(item instanceof IchorError ? item : await importer.make(item).catch(refusal));
        }
        const keys = made.filter(isGood);
        const results = made.map(toResult(deps.now()));
        if (keys.length === 0) return { result: { results, revision: revision - 1n }, unchanged: true };
        await importer.finish();
        await tx.insertKeys(keys);
        return {
          result: { results, revision },
          change: { kind: "key", tenantId: call.tenantId, event: "imported", keyIds: keys.map(({ id }) => id) },
          target: call.tenantId,
          afterDigest: keysDigest(keys),
        };
      },
      recall: async (tx, { revision }) => ({
        results: (await foundAgain(deps, tx, call.tenantId, parsed)).map(toResult(deps.now())),
        revision,
      }),
    });
  };
}

/** What became of a batch, told by what is there now: the answer itself is kept for an hour. */
async function foundAgain(
  deps: AdminDeps,
  tx: StoreTransaction,
  tenantId: TenantId,
  parsed: readonly (Import | IchorError)[],
): Promise<readonly (ApiKey | IchorError)[]> {
  const hashes = parsed.filter(isGood).map(({ rawSha256 }) => rawSha256);
  const known = await knownCredentials(tx, tenantId, hashes, deps.peppers);
  const found: (ApiKey | IchorError)[] = [];
  for (const item of parsed) {
    const keyId = item instanceof IchorError ? undefined : known.keyIdOf(item.rawSha256);
    found.push(item instanceof IchorError ? item : ((keyId && (await tx.getKey(keyId))) ?? keyNotFound()));
  }
  return found;
}

/** Makes the keys of one transaction: what must be known of all of them is asked for at once. */
class Importer {
  readonly #deps: AdminDeps;
  readonly #tx: StoreTransaction;
  readonly #tenant: Tenant;
  readonly #revision: bigint;
  readonly #known: KnownCredentials;
  readonly #pepper: Pepper;
  readonly #quota: KeyQuota;
  readonly #nowMs: number;
  readonly #revived: Uint8Array[] = [];

  private constructor(
    deps: AdminDeps,
    tx: StoreTransaction,
    tenant: Tenant,
    revision: bigint,
    known: KnownCredentials,
    pepper: Pepper,
  ) {
    this.#deps = deps;
    this.#tx = tx;
    this.#tenant = tenant;
    this.#revision = revision;
    this.#known = known;
    this.#pepper = pepper;
    this.#quota = new KeyQuota(tx, tenant);
    this.#nowMs = deps.now();
  }

  static async begin(
    deps: AdminDeps,
    tx: StoreTransaction,
    tenant: Tenant,
    revision: bigint,
    wanted: readonly Import[],
  ): Promise<Importer> {
    const hashes = wanted.map(({ rawSha256 }) => rawSha256);
    const known = await knownCredentials(tx, tenant.id, hashes, deps.peppers);
    return new Importer(deps, tx, tenant, revision, known, await pepperToBind(tx, deps.peppers));
  }

  /** Throws INVALID_FIELD, KEY_ALREADY_EXISTS, KEY_WAS_REVOKED, QUOTA_EXCEEDED. */
  async make({ draft, raw, rawSha256, allowRevoked }: Import): Promise<ApiKey> {
    const tenant = this.#tenant;
    const violations = new FieldViolations();
    const fault =
      raw === undefined ? undefined : importedKeyFault(raw, tenant.settings, tenant.settings.importedKeyBytesMin);
    violations.require(fault === undefined, "raw", fault ?? "");
    const expireTimeMs = chooseExpireTime(violations, tenant, draft.expiry, this.#nowMs);
    violations.throwIfAny();
    const keyId = this.#known.keyIdOf(rawSha256);
    if (keyId !== undefined) {
      throw new IchorError("KEY_ALREADY_EXISTS", "this credential has a key already", { metadata: { key_id: keyId } });
    }
    const tombstones = this.#known.tombstonesOf(rawSha256);
    if (tombstones.length > 0 && !allowRevoked) {
      throw new IchorError("KEY_WAS_REVOKED", "this credential was imported before, revoked and deleted");
    }
    await this.#quota.take(draft.fields.ownerId);
    const id = newId("key", this.#nowMs, this.#deps.random(10));
    this.#known.add(rawSha256, id);
    this.#revived.push(...tombstones);
    const digest = importedDigest(this.#pepper, tenant.id, rawSha256);
    return keyOfDraft(draft, {
      id,
      tenantId: tenant.id,
      kind: "IMPORTED_KEY",
      prefix: "",
      createTimeMs: this.#nowMs,
      expireTimeMs,
      secretVersions: [{ number: 1, digest, pepperId: this.#pepper.id, createTimeMs: this.#nowMs }],
      revision: this.#revision,
    });
  }

  /** Removes the tombstones of what has come back. */
  async finish(): Promise<void> {
    if (this.#revived.length > 0) await this.#tx.deleteImportTombstones(this.#tenant.id, this.#revived);
  }
}

function parseItem(item: Request): Import {
  const violations = new FieldViolations();
  const wanted = parseImport(violations, item);
  violations.require(item.requestId === "", "request_id", "must be empty within a batch");
  violations.throwIfAny();
  return wanted;
}

function parseImport(violations: FieldViolations, request: Request): Import {
  const { secret, allowRevoked } = request;
  violations.require(secret.case !== undefined, "secret", "must be given as raw or sha256");
  if (secret.case === "sha256") violations.require(secret.value.length === 32, "sha256", "must have 32 bytes");
  return {
    draft: parseKeyDraft(violations, request, "IMPORTED_KEY"),
    raw: secret.case === "raw" ? secret.value : undefined,
    rawSha256: secret.case === "sha256" ? secret.value : sha256(secret.value ?? ""),
    allowRevoked,
  };
}

function isGood<T>(item: T | IchorError): item is T {
  return !(item instanceof IchorError);
}

function attempt<T>(work: () => T): T | IchorError {
  try {
    return work();
  } catch (error) {
    return refusal(error);
  }
}

const itemReasons: ReadonlySet<string> = new Set([
  "INVALID_FIELD",
  "KEY_ALREADY_EXISTS",
  "KEY_WAS_REVOKED",
  "QUOTA_EXCEEDED",
]);

/** Why one item is refused; what is the fault of no item is thrown on. */
function refusal(error: unknown): IchorError {
  if (error instanceof IchorError && itemReasons.has(error.reason)) return error;
  throw error;
}

function toResult(nowMs: number) {
  return (made: ApiKey | IchorError, index: number) => {
    if (!(made instanceof IchorError)) {
      return { index, outcome: { case: "apiKey" as const, value: apiKeyToProto(made, nowMs) } };
    }
    const { reason, message, violations } = made;
    const value = create(ItemErrorSchema, {
      reason,
      message,
      violations: violations.map((violation) => ({ ...violation })),
    });
    return { index, outcome: { case: "error" as const, value } };
  };
}
