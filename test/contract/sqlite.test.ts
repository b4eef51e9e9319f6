import { openSqliteTestStore } from "./sqlite-files.ts";
import { storeContract } from "./store.contract.ts";

storeContract("SQLite", openSqliteTestStore);
