import { createServer } from "node:http";
import { join } from "node:path";
import { apiKey } from "@better-auth/api-key";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import Database from "better-sqlite3";
import { listening, tell } from "./tell.mjs";

// The TypeScript peer: its API-key plugin on SQLite, asked in process behind a plain node:http server, which spares it
// the cost of its own router. Its rate limits are off, since they would refuse what is measured.
tell(async () => {
  const options = {
    database: openDatabase(),
    secret: "bench".repeat(8),
    baseURL: "http://127.0.0.1",
    emailAndPassword: { enabled: true },
    plugins: [apiKey({ rateLimit: { enabled: false } })],
    telemetry: { enabled: false },
  };
  const { runMigrations } = await getMigrations(options);
  await runMigrations();
  const auth = betterAuth(options);
  const { user } = await auth.api.signUpEmail({
    body: { email: "bench@example.org", password: "correct horse battery", name: "bench" },
  });
  const { key } = await auth.api.createApiKey({
    body: { name: "service", userId: user.id, permissions: { invoices: ["read"] } },
  });
  const server = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { credential } = JSON.parse(Buffer.concat(chunks).toString());
    const answer = await auth.api.verifyApiKey({ body: { key: credential, permissions: { invoices: ["read"] } } });
    const body = JSON.stringify(answer);
    response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
    response.end(body);
  });
  return { port: await listening(server), credentials: [key], caller: "none" };
});

function openDatabase() {
  const database = new Database(join(process.env.ICHOR_DATA_DIR, "better-auth.db"));
  database.pragma("journal_mode = WAL");
  return database;
}
