import { createServer } from "node:http";
import { listening, tell } from "./tell.mjs";

// The limit: node:http alone, which parses the JSON request and writes the JSON answer that it was given.
tell(async ({ answer }) => {
  const server = createServer((request, response) => {
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      const bytes = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
      const { credential } = JSON.parse(bytes.toString());
      const body = JSON.stringify(credential ? answer : {});
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
      response.end(body);
    });
  });
  return { port: await listening(server) };
});
