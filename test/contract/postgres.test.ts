import { requirement } from "../support/requirements.ts";
import { postgresTestStores } from "./server-stores.ts";
import { storeContract } from "./store.contract.ts";
import { tokenStoreContract } from "./tokens.contract.ts";

const postgres = await requirement("postgres");

postgres.describe("with a PostgreSQL server", (serverUrl) => {
  storeContract("PostgreSQL", postgresTestStores(serverUrl, "postgresql:"));
  tokenStoreContract("PostgreSQL", postgresTestStores(serverUrl, "postgresql:"));
});
