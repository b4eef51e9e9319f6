import { existsSync } from "node:fs";
import pg from "pg";

// Loaded into a server before its own code: once the file that KILL_BEFORE_NOTIFY names exists, the server kills itself
// instead of telling the others of a commit.
const { prototype } = pg.Client;
const query = prototype.query;
prototype.query = function (...args) {
  const [text] = args;
  const notifies = /pg_notify/.test(typeof text === "string" ? text : (text?.text ?? ""));
  if (notifies && existsSync(process.env.KILL_BEFORE_NOTIFY)) process.kill(process.pid, "SIGKILL");
  return query.apply(this, args);
};
