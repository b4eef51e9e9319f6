import { createServer } from "node:http";
import { join } from "node:path";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { PrismaBetterSqlite3 } from "@prisma/adapter-better-sqlite3";
import { PrismaClient } from "../../dist/gen/prisma/sqlite/client.js";

// The least that such a server can be: it loads Prisma and connect-node, does one query and listens.
const adapter = new PrismaBetterSqlite3({ url: `file:${join(process.env.ICHOR_DATA_DIR, "ichor.db")}` });
const prisma = new PrismaClient({ adapter });
await prisma.tenant.findFirst();
const [host, port] = process.env.ICHOR_LISTEN.split(":");
createServer(connectNodeAdapter({ routes() {} })).listen(Number(port), host);
