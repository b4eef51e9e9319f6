import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ApiKey, KeyStatus } from "../../services/core/api-key.ts";
import { newId, type TenantId } from "../../services/core/ids.ts";
import { type KeyFilter, parseKeyFilter } from "../../services/core/key-filter.ts";
import { keyStatus } from "../../services/core/key-life.ts";
import { type KeyOrder, keyOrderDefault } from "../../services/core/key-order.ts";
import type { KeyCursor, Store } from "../../services/store/port.ts";
import { seededRandom } from "../fakes/random.ts";
import { changed, sampleAudit, sampleKey, sampleTenant, sampleTimeMs, sampleVersion } from "./samples.ts";
import type { TestStore } from "./store.contract.ts";

const nowMs = sampleTimeMs + 60_000;
const none = parseKeyFilter("") as KeyFilter;
const random = seededRandom("lists");
const pick = <T>(items: readonly T[]): T => items[(random(1)[0] ?? 0) % items.length] as T;
const maybe = <T>(value: T): T | undefined => ((random(1)[0] ?? 0) < 128 ? value : undefined);

/** What lists of keys hold on every adapter, against a list in memory. */
export function keyListsContract(name: string, open: () => Promise<TestStore>): void {
  describe(`lists of keys on ${name}`, () => {
    let test: TestStore;
    let store: Store;
    const tenantId = sampleTenant().id;
    const keys = Array.from({ length: 240 }, (_, i) => someKey(tenantId, i));

    beforeAll(async () => {
      test = await open();
      store = test.store;
      const other = sampleTenant({ slug: "other" });
      await store.mutate(async (tx) => {
        await tx.insertTenant(sampleTenant({ id: tenantId }));
        await tx.insertTenant(other);
        await tx.insertKeys([...keys, ...Array.from({ length: 20 }, (_, i) => someKey(other.id, i))]);
        return changed(undefined, tenantId);
      });
    });
    afterAll(() => test.remove());

    /** Every hit of a list, looked for in parts of `look`. */
    async function all(filter: KeyFilter, order: KeyOrder, look: number): Promise<string[]> {
      const found: string[] = [];
      let after: KeyCursor | undefined;
      do {
        const scan = await store.scanKeys({ tenantId, filter, order, nowMs }, after, look);
        expect(scan.hits.length).toBeLessThanOrEqual(look);
        found.push(...scan.hits.map(({ id }) => id));
        // Through JSON, as page tokens take it.
        after = scan.next && JSON.parse(JSON.stringify(scan.next));
      } while (after !== undefined);
      return found;
    }

    it.each([
      ["newest first", keyOrderDefault],
      ["oldest first", { by: "create_time", descending: false }],
      ["by name", { by: "name", descending: false }],
      ["by name backwards", { by: "name", descending: true }],
      ["by their end, those that never expire last", { by: "expire_time", descending: false }],
      ["by their end backwards", { by: "expire_time", descending: true }],
    ] as const)("give each key of the tenant once, %s, whatever the size of a part", async (_name, order) => {
      const expected = listed(keys, none, order);
      for (const look of [1, 7, 100, 1000]) expect(await all(none, order, look)).toEqual(expected);
    });

    it("give what 150 random filters let through, in any order", async () => {
      for (let i = 0; i < 150; i++) {
        const filter = someFilter();
        const order = { by: pick(["create_time", "expire_time", "name"] as const), descending: pick([true, false]) };
        const found = await all(filter, order, pick([3, 40, 500]));
        expect(found, JSON.stringify({ filter, order })).toEqual(listed(keys, filter, order));
      }
    });

    it("let a filter on names compare characters as they are", async () => {
      const begins = (prefix: string) => ({ ...none, name: { begins: prefix } });
      for (const prefix of ["", "A", "a", "ä", "🔑", "a%", "a_", "nobody"]) {
        expect(await all(begins(prefix), keyOrderDefault, 50), prefix).toEqual(
          listed(keys, begins(prefix), keyOrderDefault),
        );
      }
    });

    it("give keys by their ids, in that order, those that are there", async () => {
      const [a, b] = [keys[3], keys[200]] as [ApiKey, ApiKey];
      const missing = newId("key", 5, random(10));
      const found = await store.getKeys([b.id, missing, a.id]);
      expect(found.map(({ id }) => id)).toEqual([b.id, a.id]);
      expect(found.map(({ secretVersions }) => secretVersions.map(({ number }) => number))).toEqual([
        [2, 1],
        [2, 1],
      ]);
      expect(await store.getKeys([])).toEqual([]);
    });

    it("take a thousand keys in one call, whatever is done with them", async () => {
      const many = Array.from({ length: 1_000 }, () => sampleKey(tenantId, { ownerId: "many", kind: "IMPORTED_KEY" }));
      const ids = many.map(({ id }) => id);
      const digests = many.flatMap(({ secretVersions }) => secretVersions.map(({ digest }) => digest));
      const revoked = many.map((key) => ({
        ...key,
        state: "REVOKED" as const,
        revocation: { reason: "UNSPECIFIED" as const, comment: "", timeMs: nowMs },
      }));
      await store.mutate(async (tx) => {
        await tx.insertKeys(many);
        await tx.updateRevokedKeys(revoked);
        await tx.eraseIdempotentAnswers(...ids);
        expect(await tx.importTombstones(tenantId, digests)).toEqual([]);
        await tx.deleteImportTombstones(tenantId, digests);
        expect(await tx.keysOfDigests(tenantId, digests)).toHaveLength(1_000);
        expect(await tx.getKeys(ids)).toHaveLength(1_000);
        return { result: undefined, unchanged: true };
      });
    });

    it("see revocations of many at once", async () => {
      const some = keys.slice(0, 5).map((key) => ({
        ...key,
        state: "REVOKED" as const,
        revocation: { reason: "SUPERSEDED" as const, comment: "c", timeMs: nowMs },
        updateTimeMs: nowMs,
        revision: 2n,
      }));
      await store.mutate(async (tx) => {
        await tx.updateRevokedKeys(some);
        await tx.updateRevokedKeys([]);
        return {
          result: undefined,
          change: { kind: "key", tenantId, event: "revoked", keyIds: [] },
          audit: sampleAudit(tenantId),
        };
      });
      const [first] = some;
      expect(await store.getKey(first?.id as ApiKey["id"])).toMatchObject({
        state: "REVOKED",
        revocation: first?.revocation,
      });
      const untouched = await store.getKeys(keys.slice(5).map(({ id }) => id));
      expect(untouched.map(({ state }) => state)).toEqual(keys.slice(5).map(({ state }) => state));
    });
  });
}

function someKey(tenantId: TenantId, i: number): ApiKey {
  const createTimeMs = sampleTimeMs + (i % 60) * 100;
  const expireTimeMs = maybe(nowMs + ((random(1)[0] ?? 0) % 20) * 1000 - 10_000);
  const state = pick(["ACTIVE", "ACTIVE", "DISABLED", "REVOKED"] as const);
  return sampleKey(tenantId, {
    id: newId("key", createTimeMs, random(10)),
    createTimeMs,
    name: pick(["a", "A", "ab", "a%", "a_b", "ä", "z", "🔑", "🔑 x"]),
    ownerId: pick(["", "acme", "ACME", "ops"]),
    scopes: pick([[], ["a:b"], ["a:b", "c"], ["a:*"]]),
    labels: pick([{}, { env: "prod" }, { env: "dev", team: "x" }] as readonly Record<string, string>[]),
    state,
    ...(state === "REVOKED" && { revocation: { reason: "UNSPECIFIED", comment: "", timeMs: nowMs } }),
    prefix: pick(["ichor_sk", ""]),
    ...(expireTimeMs !== undefined && { expireTimeMs }),
    secretVersions: [sampleVersion(2), sampleVersion(1, { graceEndTimeMs: nowMs })],
  });
}

function someFilter(): KeyFilter {
  const time = () => maybe(sampleTimeMs + ((random(1)[0] ?? 0) % 60) * 100);
  const end = () => maybe(nowMs + ((random(1)[0] ?? 0) % 20) * 1000 - 10_000);
  const range = (afterMs: number | undefined, beforeMs: number | undefined) => ({
    ...(afterMs !== undefined && { afterMs }),
    ...(beforeMs !== undefined && { beforeMs }),
  });
  const ownerId = maybe(maybe(pick(["", "acme", "ACME", "none"])));
  const status = maybe(pick<KeyStatus>(["ACTIVE", "DISABLED", "REVOKED", "EXPIRED"]));
  const prefix = maybe(maybe(pick(["ichor_sk", ""])));
  const named = maybe(maybe(pick([{ equals: "a" }, { begins: "a" }, { begins: "🔑" }])));
  return {
    ...(ownerId !== undefined && { ownerId }),
    ...(status && { status }),
    ...(prefix !== undefined && { prefix }),
    ...(named && { name: named }),
    scopes: maybe(pick([["a:b"], ["a:b", "c"], ["a:*"]])) ?? [],
    labels:
      maybe(
        pick([
          [["env", "prod"]],
          [
            ["env", "dev"],
            ["team", "x"],
          ],
        ] as [string, string][][]),
      ) ?? [],
    createTime: maybe(range(time(), time())) ?? {},
    expireTime: maybe(range(end(), end())) ?? {},
    lastUsedTime: maybe(maybe({ beforeMs: 5 })) ?? {},
  };
}

/** The list as it must be, from a list in memory. */
function listed(keys: readonly ApiKey[], filter: KeyFilter, { by, descending }: KeyOrder): string[] {
  const never = Number.POSITIVE_INFINITY;
  const found = keys.filter((key) => lets(filter, key));
  const compareText = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));
  found.sort((a, b) => {
    const [endA, endB] = [a.expireTimeMs ?? never, b.expireTimeMs ?? never];
    const first = by === "name" ? compareText(a.name, b.name) : by === "create_time" || endA === endB ? 0 : endA - endB;
    return first || compareText(a.id, b.id);
  });
  return (descending ? found.reverse() : found).map(({ id }) => id);
}

function lets(filter: KeyFilter, key: ApiKey): boolean {
  const inside = (timeMs: number, { afterMs, beforeMs }: { afterMs?: number; beforeMs?: number }) =>
    (afterMs === undefined || timeMs > afterMs) && (beforeMs === undefined || timeMs < beforeMs);
  const { name } = filter;
  return (
    (filter.ownerId === undefined || filter.ownerId === key.ownerId) &&
    (filter.status === undefined || filter.status === keyStatus(key, nowMs)) &&
    (filter.prefix === undefined || filter.prefix === key.prefix) &&
    (name === undefined || ("equals" in name ? name.equals === key.name : key.name.startsWith(name.begins))) &&
    filter.scopes.every((scope) => key.scopes.includes(scope)) &&
    filter.labels.every(([label, value]) => key.labels[label] === value) &&
    inside(key.createTimeMs, filter.createTime) &&
    inside(key.expireTimeMs ?? Number.POSITIVE_INFINITY, filter.expireTime) &&
    inside(key.use?.lastTimeMs ?? 0, filter.lastUsedTime)
  );
}
