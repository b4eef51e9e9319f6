import { describe, expect, it } from "vitest";
import { RecentChanges } from "../../../services/changes/recent-changes.ts";
import type { ChangeRow } from "../../../services/core/change.ts";
import type { KeyId, TenantId } from "../../../services/core/ids.ts";

describe("the entries of the log that are kept in memory", () => {
  it("gives all entries from a revision on, and none if some are gone", () => {
    const recent = new RecentChanges({ entriesMax: 4, namesMax: 1_000 });
    for (let revision = 1; revision <= 9; revision++) recent.push(row(revision, 1));
    expect(recent.from(5n)).toBeUndefined();
    expect(revisionsOf(recent.from(6n))).toEqual([6n, 7n, 8n, 9n]);
    expect(recent.from(10n)).toEqual([]);
  });

  it("keeps no more than the allowed number of names, however few entries name them", () => {
    const recent = new RecentChanges({ entriesMax: 1_000, namesMax: 5_000 });
    for (let revision = 1; revision <= 400; revision++) {
      recent.push(row(revision, revision % 10 === 0 ? 1_000 : 1));
      const kept = keptOf(recent, revision);
      expect(
        kept.reduce((sum, { change }) => sum + (change.kind === "key" ? change.keyIds.length : 0), 0),
      ).toBeLessThan(5_001);
      expect(revisionsOf(kept)).toEqual(kept.map((_, i) => BigInt(revision - kept.length + 1 + i)));
    }
  });

  it("keeps nothing of an entry that alone names too much, and goes on with the next", () => {
    const recent = new RecentChanges({ entriesMax: 10, namesMax: 100 });
    recent.push(row(1, 1));
    recent.push(row(2, 101));
    expect(recent.from(2n)).toBeUndefined();
    recent.push(row(3, 1));
    expect(revisionsOf(recent.from(3n))).toEqual([3n]);
    expect(recent.from(2n)).toBeUndefined();
  });

  it("forgets everything of a history that ended", () => {
    const recent = new RecentChanges();
    recent.push(row(1, 1));
    recent.clear();
    expect(recent.from(1n)).toBeUndefined();
  });
});

function row(revision: number, names: number): ChangeRow {
  const keyIds = Array.from({ length: names }, (_, i) => `key_${i}` as KeyId);
  const change = { kind: "key", tenantId: "ten_1" as TenantId, event: "imported", keyIds } as const;
  return { revision: BigInt(revision), hash: new Uint8Array(32), commitTimeMs: 0, change };
}

function revisionsOf(rows: readonly ChangeRow[] | undefined): bigint[] {
  return (rows ?? []).map(({ revision }) => revision);
}

function keptOf(recent: RecentChanges, last: number): readonly ChangeRow[] {
  for (let revision = 1; revision <= last; revision++) {
    const rows = recent.from(BigInt(revision));
    if (rows !== undefined) return rows;
  }
  return [];
}
