import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";
import { listening, tell } from "./tell.mjs";

// A peer: an OAuth 2 server in this process, with its own adapter in memory, which spares it a database. It issues JWT
// access tokens (EdDSA) for client credentials, and introspects opaque ones: it keeps no JWT.
tell(async ({ token = false }) => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const client = {
    client_id: "service",
    client_secret: "secret",
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    token_endpoint_auth_method: "client_secret_basic",
  };
  const provider = new Provider("http://127.0.0.1", {
    clients: [client],
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), alg: "EdDSA", use: "sig", kid: "k" }] },
    enabledJWA: { idTokenSigningAlgValues: ["EdDSA"] },
    clientDefaults: { id_token_signed_response_alg: "EdDSA" },
    scopes: ["invoices:read"],
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      introspection: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => "https://api.example",
        getResourceServerInfo: () => ({
          scope: "invoices:read",
          accessTokenFormat: token ? "opaque" : "jwt",
          accessTokenTTL: 900,
          jwt: { sign: { alg: "EdDSA" } },
        }),
      },
    },
  });
  const port = await listening(createServer(provider.callback()));
  const authorization = `Basic ${Buffer.from("service:secret").toString("base64")}`;
  if (!token) return { port, authorization };
  const answer = await fetch(`http://127.0.0.1:${port}/token`, {
    method: "POST",
    headers: { authorization, "content-type": "application/x-www-form-urlencoded" },
    body: "grant_type=client_credentials&scope=invoices%3Aread",
  });
  return { port, authorization, token: (await answer.json()).access_token };
});
