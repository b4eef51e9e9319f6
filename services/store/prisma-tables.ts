import { tables } from "../../gen/prisma/tables.ts";

/** A table as plain SQL needs to know it: names of its columns, and those of its primary key in order. */
export interface Table {
  readonly name: string;
  readonly columns: readonly string[];
  readonly primaryKey: readonly string[];
}

/** `store_head` is what opens a store, and a server's presence isn't the store's. */
const notCopied: readonly string[] = ["store_head", "server_presence"];

/** The tables that make up a store's contents, each after those that it refers to. */
export const contentTables: readonly Table[] = tables.filter(({ name }) => !notCopied.includes(name));
