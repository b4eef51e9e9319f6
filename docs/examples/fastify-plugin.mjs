// A Fastify service: every route of the instance that the plugin is registered on needs a token, which is verified here, or
// an API key, about which the server is asked.
//   npm install fastify
//   ICHOR_URL=… ICHOR_CREDENTIAL=… PORT=3000 node fastify-plugin.mjs
import { createVerifier } from "@ichor/verifier";
import { ichorVerifier } from "@ichor/verifier/fastify";
import Fastify from "fastify";

const verifier = createVerifier({
  url: process.env.ICHOR_URL,
  // ichor:keyset:watch, ichor:verify:aud:https://api.example and ichor:keys:verify
  credential: process.env.ICHOR_CREDENTIAL,
  audience: "https://api.example",
  keys: {},
  onEvent: ({ kind }) => kind === "disconnected" && app.log.warn("no key set is streamed"),
});

const app = Fastify();

// Open to all: a load balancer asks whether it is worth sending requests here.
app.get("/healthz", async (_request, reply) => {
  const { ready, stale, age, revision } = verifier.status();
  return reply.code(ready && !stale ? 200 : 503).send({ age, revision: String(revision) });
});

await app.register(async (secured) => {
  await secured.register(ichorVerifier, {
    verifier,
    demandOf: ({ method, ip }) => ({
      scopes: [method === "GET" ? "invoices:read" : "invoices:write"],
      clientIp: ip,
    }),
  });
  secured.get("/invoices", async ({ ichor: { ownerId, keyId, scopes } }) => ({ ownerId, keyId, scopes }));
  secured.post("/invoices", async ({ ichor: { ownerId } }) => ({ ownerId }));
});

app.addHook("onClose", () => verifier.close());
await verifier.ready();
console.log(`listening on ${await app.listen({ port: Number(process.env.PORT ?? 3000), host: "127.0.0.1" })}`);

process.once("SIGTERM", () => app.close());
