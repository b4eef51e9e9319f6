import { openStore, type StoreOptions } from "./open-store.ts";
import type { Store } from "./port.ts";

const silent = { info() {}, error() {} };

/** Opens a store for a command beside the servers, and closes it after. */
export async function withStore<T>(
  options: Omit<StoreOptions, "clock" | "log"> & { readonly now: () => number },
  use: (store: Store) => Promise<T>,
): Promise<T> {
  const { now, ...rest } = options;
  const store = await openStore({ ...rest, clock: { now }, log: silent });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}
