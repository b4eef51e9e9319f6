import { requirement } from "../support/requirements.ts";
import { mariadbTestStores } from "./server-stores.ts";
import { storeContract } from "./store.contract.ts";
import { tokenStoreContract } from "./tokens.contract.ts";

const mariadb = await requirement("mariadb");

mariadb.describe("with a MariaDB server", (serverUrl) => {
  storeContract("MariaDB", mariadbTestStores(serverUrl));
  tokenStoreContract("MariaDB", mariadbTestStores(serverUrl));
});
