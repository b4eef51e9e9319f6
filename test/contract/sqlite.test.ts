import { openSqliteTestStore } from "./sqlite-files.ts";
import { storeContract } from "./store.contract.ts";
import { tokenStoreContract } from "./tokens.contract.ts";

storeContract("SQLite", openSqliteTestStore);
tokenStoreContract("SQLite", openSqliteTestStore);
