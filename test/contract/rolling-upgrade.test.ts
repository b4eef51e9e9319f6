import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { createTestDatabase } from "../support/databases.ts";
import { requirement } from "../support/requirements.ts";
import { temporaryFolder } from "../support/server-process.ts";
import { inserting, sampleAudit, sampleKey, sampleTenant } from "./samples.ts";
import { storeUrlOf } from "./server-stores.ts";
import { openTestStore } from "./sqlite-files.ts";

const postgres = await requirement("postgres");
const mariadb = await requirement("mariadb");

let folder: ReturnType<typeof temporaryFolder>;
beforeEach(() => {
  folder = temporaryFolder("upgrade");
});
afterEach(() => folder.remove());

interface Place {
  readonly url: string;
  drop(): Promise<void>;
}

describe("an upgrade of one server after the other", () => {
  describeUpgrade("SQLite", "sqlite", async () => ({
    url: `file:${join(folder.path, "ichor.db")}`,
    drop: async () => {},
  }));
  const onServer = (serverUrl: string, scheme: string) => async (): Promise<Place> => {
    const database = await createTestDatabase(serverUrl);
    return { url: storeUrlOf(database, scheme), drop: database.drop };
  };
  postgres.describe("with a PostgreSQL server", (url) =>
    describeUpgrade("PostgreSQL", "postgresql", onServer(url, "postgresql:")),
  );
  mariadb.describe("with a MariaDB server", (url) => describeUpgrade("MariaDB", "mysql", onServer(url, "mysql:")));
});

function describeUpgrade(name: string, provider: string, make: () => Promise<Place>): void {
  it(`on ${name}: what runs goes on under the newer schema, what is newer doesn't start under the older one unless it may migrate`, async () => {
    const place = await make();
    const { url } = place;
    const newer = join(folder.path, "migrations");
    cpSync(join("prisma/migrations", provider), newer, { recursive: true });
    mkdirSync(join(newer, "20990101000000_newer"));
    writeFileSync(
      join(newer, "20990101000000_newer", "migration.sql"),
      "ALTER TABLE api_key ADD COLUMN newer BIGINT; CREATE TABLE newer (id INT PRIMARY KEY);",
    );
    const running = await openTestStore({ url });
    const tenant = sampleTenant();
    await running.mutate(async (tx) => {
      await tx.insertTenant(tenant);
      const change = { kind: "tenant", tenantId: tenant.id, event: "created" } as const;
      return { result: 0, change, audit: sampleAudit(tenant.id) };
    });
    const before = sampleKey(tenant.id);
    await running.mutate(inserting(before));
    // Read once, so that statements are prepared under the older schema.
    expect((await running.getKey(before.id))?.secretVersions).toHaveLength(1);

    await expect(openTestStore({ url, migrationsFolder: newer, migrate: false })).rejects.toThrow(
      /migrations are pending.*"ichor migrate": 20990101000000_newer/,
    );
    await (await openTestStore({ url, migrationsFolder: newer })).close();

    expect((await running.getKey(before.id))?.secretVersions).toHaveLength(1);
    const after = sampleKey(tenant.id);
    expect((await running.mutate(inserting(after))).revision).toBe(3n);
    expect(await running.getKeys([before.id, after.id])).toHaveLength(2);
    expect((await running.changesAfter(0n, 10)).map(({ revision }) => revision)).toEqual([1n, 2n, 3n]);
    expect((await running.loadKeySet(tenant.id))?.head.revision).toBe(3n);
    await running.close();
    await expect(openTestStore({ url })).rejects.toThrow(
      /of a newer version: it has the migration 20990101000000_newer/,
    );
    await place.drop();
  });
}
