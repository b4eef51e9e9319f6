// An HTTP service whose requests need a token. The middleware is of Express's form, and node:http needs no more.
//   ICHOR_URL=… ICHOR_CREDENTIAL=… PORT=3000 node express-middleware.mjs
import { createServer } from "node:http";
import { createVerifier } from "@ichor/verifier";
import { requireToken } from "@ichor/verifier/express";

const verifier = createVerifier({
  url: process.env.ICHOR_URL,
  // ichor:keyset:watch and ichor:verify:aud:https://api.example
  credential: process.env.ICHOR_CREDENTIAL,
  audience: "https://api.example",
});
await verifier.ready();

// What a request needs follows from what it does. With Express: app.use(requireToken(verifier, demandOf)).
const check = requireToken(verifier, ({ method, socket }) => ({
  scopes: [method === "GET" ? "invoices:read" : "invoices:write"],
  clientIp: socket.remoteAddress,
}));

const server = createServer((request, response) => {
  check(request, response, (error) => {
    if (error) {
      response.writeHead(500).end();
      return;
    }
    const { ownerId, keyId, scopes } = request.ichor;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ ownerId, keyId, scopes }));
  });
});
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});

process.once("SIGTERM", async () => {
  server.close();
  await verifier.close();
});
