// An HTTP service whose requests need an API key or a token. It asks the side-car beside it by a Unix socket, and so needs no
// key of its own. The middleware is of Express's form, and node:http needs no more.
//   ichor sidecar … --audience https://api.example --listen unix:/run/ichor/sidecar.sock
//   ICHOR_SOCKET=/run/ichor/sidecar.sock PORT=3000 node express-middleware.mjs
import { createServer } from "node:http";
import { createRemoteVerifier } from "@ichor/verifier";
import { requireCredential } from "@ichor/verifier/express";

const verifier = createRemoteVerifier({
  socketPath: process.env.ICHOR_SOCKET,
  audience: "https://api.example",
});

// What a request needs follows from what it does. With Express: app.use(requireCredential(verifier, demandOf)).
const check = requireCredential(verifier, ({ method, socket }) => ({
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

process.once("SIGTERM", () => server.close());
