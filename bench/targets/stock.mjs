import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer as createHttp1Server } from "node:http";
import { createServer as createHttp2Server } from "node:http2";
import { join } from "node:path";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { pino } from "pino";
import { buildApp } from "../../dist/services/app.js";
import { loadServerConfig } from "../../dist/services/config/server-config.js";
import { prepareKeys } from "./keys.mjs";
import { listening, tell } from "./tell.mjs";

// The same methods and pipeline behind connect-node's own adapter: what the server would cost without an HTTP layer of
// its own. Without what the server puts around connect, so that stock pays for nothing that others wouldn't have.
tell(async ({ http = 1, ...options }) => {
  const app = await buildApp(loadServerConfig(process.env), {
    now: Date.now,
    random: randomBytes,
    log: pino({ base: null }),
    issuer: () => "http://127.0.0.1",
  });
  const handler = connectNodeAdapter({
    routes: (router) => {
      for (const method of app.registry.unary.values()) {
        router.rpc(method.desc, (request, context) => app.pipeline.unary(method, () => request, carrierOf(context)));
      }
    },
  });
  const rootCredential = readFileSync(join(process.env.ICHOR_DATA_DIR, "root.key"), "utf8").trim();
  const keyPort = await listening(createHttp1Server(handler));
  const port = http === 1 ? keyPort : await listening(createHttp2Server(handler));
  return { port, ...(await prepareKeys(`http://127.0.0.1:${keyPort}`, rootCredential, options)) };
});

function carrierOf(context) {
  return {
    header: (name) => context.requestHeader.get(name) ?? undefined,
    peerAddress: "127.0.0.1",
    signal: context.signal,
    timeoutMs: context.timeoutMs,
  };
}
