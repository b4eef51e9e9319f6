// A Connect service whose methods need a token, which is verified here, or an API key, about which a side-car is asked. It serves a service that @ichor/client brings along, in the place of yours.
//   ICHOR_URL=… ICHOR_CREDENTIAL=… ICHOR_SIDECAR=http://127.0.0.1:8421 PORT=3000 node connect-interceptor.mjs
import { createServer } from "node:http";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { SelfService } from "@ichor/client";
import { createVerifier } from "@ichor/verifier";
import { callerKey, verifierInterceptor } from "@ichor/verifier/connect";

const verifier = createVerifier({
  url: process.env.ICHOR_URL,
  // ichor:keyset:watch and ichor:verify:aud:https://api.example
  credential: process.env.ICHOR_CREDENTIAL,
  audience: "https://api.example",
  keys: { url: process.env.ICHOR_SIDECAR },
});
await verifier.ready();

// What each method needs, in one table; a method that isn't in it needs a scope that nobody has.
const scopesOf = {
  "ichor.v1.SelfService/GetSelf": ["invoices:read"],
  "ichor.v1.SelfService/RevokeSelf": ["invoices:write"],
};

const server = createServer(
  connectNodeAdapter({
    interceptors: [verifierInterceptor(verifier, (method) => ({ scopes: scopesOf[method] ?? ["nobody:has:this"] }))],
    routes: (router) => {
      router.rpc(SelfService.method.getSelf, (_request, { values }) => {
        const { keyId, ownerId, scopes } = values.get(callerKey);
        return { apiKey: { id: keyId, ownerId }, scopes };
      });
      router.rpc(SelfService.method.revokeSelf, () => ({}));
    },
  }),
);
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`listening on http://127.0.0.1:${server.address().port}`);
});

process.once("SIGTERM", async () => {
  server.close();
  await verifier.close();
});
