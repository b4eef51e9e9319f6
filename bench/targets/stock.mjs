import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer as createHttp1Server } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { join } from "node:path";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { pino } from "pino";
import { buildApp } from "../../dist/services/app.js";
import { loadServerConfig } from "../../dist/services/config.js";
import { prepareKeys } from "./keys.mjs";
import { listening, tell } from "./tell.mjs";

// The same methods behind connect-node's own adapter: what the server would cost without an HTTP layer of its own.
tell(async ({ http = 1, ...options }) => {
  const app = await buildApp(loadServerConfig(process.env), {
    now: Date.now,
    random: randomBytes,
    log: pino({ base: null }),
    issuer: () => "http://127.0.0.1",
  });
  const handler = connectNodeAdapter({ routes: app.routes });
  const rootCredential = readFileSync(join(process.env.ICHOR_DATA_DIR, "root.key"), "utf8").trim();
  const keyPort = await listening(createHttp1Server(handler));
  const port = http === 1 ? keyPort : await listening(createHttp2Server(handler));
  return { port, ...(await prepareKeys(keyPort, rootCredential, options)) };
});
