import { databaseServer } from "../lib/database-server.mjs";
import { verifyOverHttp1 } from "./loads.mjs";

const contenders = [
  { name: "warm", target: "ichor", load: (told) => verifyOverHttp1(told) },
  { name: "cold", target: "ichor", load: (told) => verifyOverHttp1(told, { noCache: true }) },
];

/** A verification that must ask the store, beside one that needn't. */
export const verifyCold = {
  title: "VerifyCredential, the store asked each time (`no_cache`), embedded SQLite",
  contenders,
  compare: [{ of: "cold", to: "warm", goal: 0.4 }],
};

/** The same on PostgreSQL: two servers, each with a database of its own. The database's own CPU isn't counted. */
export const verifyColdPostgres = {
  title: "VerifyCredential, the store asked each time (`no_cache`), PostgreSQL",
  prepare: databaseServer,
  contenders,
  compare: [{ of: "cold", to: "warm", goal: 0.25 }],
};
