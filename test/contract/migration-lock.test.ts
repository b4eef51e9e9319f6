import { Client } from "pg";
import { expect, it } from "vitest";
import { parseDatabaseUrl } from "../../services/core/database-url.ts";
import { openPostgresSession } from "../../services/store/postgres-session.ts";
import { createTestDatabase } from "../support/databases.ts";
import { requirement } from "../support/requirements.ts";
import { storeUrlOf } from "./server-stores.ts";

const rounds = 60;
const servers = 8;

const postgres = await requirement("postgres");

postgres.describe("with a PostgreSQL server", (url) => {
  it("servers that make the table of CockroachDB's lock at once all get it, one after the other", async () => {
    const database = await createTestDatabase(url);
    const target = parseDatabaseUrl(storeUrlOf(database, "cockroachdb:"));
    if (target.provider === "sqlite") throw new TypeError("not a server");
    const sessions = await Promise.all(Array.from({ length: servers }, () => openPostgresSession(target)));
    const dropper = new Client({ connectionString: database.url });
    await dropper.connect();
    try {
      let inside = 0;
      for (let round = 0; round < rounds; round++) {
        const work = async () => {
          expect(++inside).toBe(1);
          await Promise.resolve();
          inside--;
        };
        await Promise.all(sessions.map((session) => session.locked(work)));
        await dropper.query("DROP TABLE ichor_migration_lock");
      }
    } finally {
      await Promise.all([...sessions, dropper].map((one) => ("close" in one ? one.close() : one.end())));
      await database.drop();
    }
  });
});
