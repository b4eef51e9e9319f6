import { generateKeyPairSync, randomUUID, sign } from "node:crypto";
import { createServer } from "node:http";
import { listening, tell } from "./tell.mjs";

// The limit: node:http alone, which parses the JSON request, signs a JWT as large as the server's and writes it as JSON.
tell(async () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const kid = "6L6YRxAC4bTCOMaWHkyPXV0mEHTW_hKBAXk9uHDNsNE";
  const header = Buffer.from(JSON.stringify({ alg: "EdDSA", kid, typ: "at+jwt" })).toString("base64url");
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const { audiences, scopes } = JSON.parse(Buffer.concat(chunks).toString());
      const nowSeconds = Math.floor(Date.now() / 1000);
      const claims = {
        iss: "http://127.0.0.1:8420",
        sub: "acme",
        aud: audiences[0],
        exp: nowSeconds + 900,
        iat: nowSeconds,
        nbf: nowSeconds,
        jti: randomUUID(),
        client_id: "key_01jd000000000000000000000",
        scope: scopes.join(" "),
        tenant: "ten_01jd000000000000000000000",
        epoch: 0,
      };
      const signed = `${header}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}`;
      const token = `${signed}.${sign(null, Buffer.from(signed), privateKey).toString("base64url")}`;
      const body = JSON.stringify({ token, tokenId: claims.jti, format: "TOKEN_FORMAT_JWT", scopes });
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
      response.end(body);
    });
  });
  return { port: await listening(server) };
});
