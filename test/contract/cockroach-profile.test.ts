import { requirement } from "../support/requirements.ts";
import { postgresTestStores } from "./server-stores.ts";
import { storeContract } from "./store.contract.ts";

// CockroachDB's client, migrations, lock row and retries, on the server whose protocol it speaks: that no statement or
// value of the profile is wrong is shown here; how CockroachDB itself behaves isn't.

const postgres = await requirement("postgres");

postgres.describe("with a PostgreSQL server in CockroachDB's place", (serverUrl) => {
  storeContract("CockroachDB's profile", postgresTestStores(serverUrl, "cockroachdb:"));
});
