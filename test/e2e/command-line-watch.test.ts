import { statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { callJson } from "../support/calls.ts";
import { type CommandOptions, type RunningCommand, runIchor, startIchor } from "../support/command-line.ts";
import { freePort } from "../support/free-port.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("watch-command");
const audience = "https://api.example";
let port: number;
let server: ServerProcess;
const start = () =>
  startServer({
    dataDir: folder.path,
    env: { ICHOR_LISTEN: `127.0.0.1:${port}`, ICHOR_PUBLIC_URL: "https://keys.example" },
  });
beforeAll(async () => {
  port = await freePort();
  server = await start();
});
afterAll(async () => {
  await server.stop();
  folder.remove();
});

const options = (credential?: string): CommandOptions => ({
  cwd: folder.path,
  env: { ICHOR_DATA_DIR: folder.path, ICHOR_URL: server.url, ...(credential && { ICHOR_CREDENTIAL: credential }) },
});

const call = async (method: string, body: object, credential = server.rootCredential) =>
  (await callJson(server.url, method, credential, body)).body;

async function keyWithToken(format = "TOKEN_FORMAT_JWT") {
  const { apiKey, credential } = await call("AdminService/IssueApiKey", { name: "k", scopes: ["a:*"] });
  const request = { format, audiences: [audience] };
  const { token } = await call("DerivationService/DeriveToken", request, credential);
  return { keyId: apiKey.id as string, token: token as string };
}

async function eventOf(command: RunningCommand, fits: (event: Record<string, unknown>) => boolean) {
  return JSON.parse(await command.line((line) => fits(JSON.parse(line))));
}

describe("ichor watch", () => {
  it("tells each change with revision and age, resumes after the server was killed, and ends well by Ctrl-C", async () => {
    const command = startIchor(["--json", "watch", "--audience", audience], options());
    const connected = await eventOf(command, ({ event }) => event === "connected");
    expect(connected).toMatchObject({ issuer: "https://keys.example", tenant: expect.stringMatching(/^ten_/) });
    for (const feed of ["public", `aud:${audience}`]) {
      await eventOf(command, (told) => told.event === "snapshot" && told.feed === feed);
    }
    const revoke = async () => {
      const { keyId } = await keyWithToken();
      const { revision } = await call("AdminService/RevokeApiKey", { keyId });
      return { keyId, revision };
    };
    const tells = ({ keyId, revision }: { keyId: string; revision: string }) =>
      eventOf(command, (told) => told.event === "delta" && told.revision === revision).then((told) => {
        expect(told).toMatchObject({ feed: "public", keys: [{ id: keyId, status: "REVOKED" }] });
        expect(told.ageSeconds).toBeLessThan(5);
      });
    await tells(await revoke());
    await server.kill();
    await eventOf(command, ({ event }) => event === "disconnected");
    server = await start();
    await tells(await revoke());
    const events = command.lines.map((line) => JSON.parse(line));
    // What it knew it still knows: there was no second snapshot of what revocations are in.
    expect(events.filter(({ event, feed }) => event === "snapshot" && feed === "public")).toHaveLength(1);
    await eventOf(command, ({ event }) => event === "heartbeat");
    expect(await command.interrupt()).toEqual({ status: 0, stderr: "" });
  }, 60_000);

  it("tells a person the same in lines, and no root key", async () => {
    const { audienceKeys } = await call("DerivationService/GetKeySet", { audiences: [audience] });
    const command = startIchor(["watch", "--no-heartbeats", "--audience", audience], options());
    await command.line((line) => line.includes(`aud:${audience}`));
    const { keyId } = await keyWithToken();
    await call("AdminService/RevokeApiKey", { keyId });
    const line = await command.line((text) => text.includes(keyId));
    expect(line).toMatch(/^\d{4}-\S+Z {2}delta {9}public {2}revision \d+ {2}\d\.\d{3} s old {2}keys key_\w+ REVOKED/);
    await command.interrupt();
    expect(audienceKeys).toHaveLength(1);
    const key = Buffer.from(audienceKeys[0].key, "base64");
    const printed = command.lines.join("\n");
    for (const text of [key.toString("base64"), key.toString("hex")]) expect(printed).not.toContain(text);
    expect(printed).not.toContain("heartbeat");
  }, 30_000);

  it("ends with the server's reason if the credential may not watch, and when it is revoked", async () => {
    const other = await call("AdminService/IssueApiKey", { name: "other", scopes: ["a"] });
    const refused = await startIchor(["--json", "watch"], options(other.credential)).ended;
    expect({ ...refused, stderr: JSON.parse(refused.stderr).reason }).toEqual({ status: 3, stderr: "SCOPE_MISSING" });
    const { apiKey, credential } = await call("AdminService/IssueApiKey", {
      name: "w",
      scopes: ["ichor:keyset:watch"],
    });
    const command = startIchor(["--json", "watch"], options(credential));
    await eventOf(command, ({ event }) => event === "snapshot");
    await call("AdminService/RevokeApiKey", { keyId: apiKey.id });
    const cut = await command.ended;
    expect({ ...cut, stderr: JSON.parse(cut.stderr).reason }).toEqual({ status: 3, stderr: "CREDENTIAL_REFUSED" });
  }, 30_000);
});

describe("ichor tokens verify --offline", () => {
  const verify = (token: string, ...more: string[]) => {
    const args = ["--json", "tokens", "verify", "--offline", "--audience", audience, ...more];
    const { status, stdout, stderr } = runIchor(args, { ...options(), input: token });
    return { status, stderr, ...(stdout !== "" && JSON.parse(stdout)) };
  };

  it("answers as the server does, from the stream or the snapshot file, and says when it can't tell", async () => {
    const snapshotFile = join(folder.path, "keyset");
    const [jwt, macaroon] = [await keyWithToken(), await keyWithToken("TOKEN_FORMAT_MACAROON")];
    const narrowed = await call("DerivationService/DeriveToken", {
      credential: macaroon.token,
      format: "TOKEN_FORMAT_MACAROON",
      audiences: [audience],
      constraints: { contextEquals: { region: "eu" }, cidrs: ["192.0.2.0/24"] },
    });
    const here = ["--snapshot-file", snapshotFile, "--max-staleness", "1h"];
    const first = verify(jwt.token, ...here, "--scope", "a:b");
    expect(first).toMatchObject({ status: 0, code: "VERIFICATION_CODE_VALID", kind: "CREDENTIAL_KIND_JWT" });
    expect(first.key).toMatchObject({ id: jwt.keyId, scopes: ["a:*"] });
    expect(first).toMatchObject({ revision: expect.any(String), age: expect.stringMatching(/^\d/) });
    expect(statSync(snapshotFile).mode & 0o777).toBe(0o600);
    expect(verify(jwt.token, "--scope", "b")).toMatchObject({
      status: 1,
      code: "VERIFICATION_CODE_INSUFFICIENT_SCOPE",
    });
    await call("AdminService/RevokeApiKey", { keyId: jwt.keyId });
    expect(verify(jwt.token)).toMatchObject({ status: 1, code: "VERIFICATION_CODE_REVOKED" });
    await server.stop();
    const request = ["--context", "region=eu", "--client-ip", "192.0.2.1"];
    expect(verify(narrowed.token, ...here, ...request)).toMatchObject({ status: 0, kind: "CREDENTIAL_KIND_MACAROON" });
    const elsewhere = [...here, ...request, "--client-ip", "::1"];
    expect(verify(narrowed.token, ...elsewhere)).toMatchObject({ status: 1, code: "VERIFICATION_CODE_IP_NOT_ALLOWED" });
    const other = [...here, ...request, "--context", "region=us"];
    expect(verify(narrowed.token, ...other)).toMatchObject({ status: 1, code: "VERIFICATION_CODE_CONSTRAINT_NOT_MET" });
    const unknown = verify(jwt.token, "--timeout", "1s");
    expect(unknown).toMatchObject({ status: 3, stderr: expect.stringContaining("NOT_READY") });
    server = await start();
  }, 60_000);

  it("refuses options that make no sense", () => {
    expect(verify("x", "--scope", "a:*").status).toBe(2);
    expect(verify("x", "--context", "region").status).toBe(2);
    expect(verify("x", "--max-staleness", "0s").status).toBe(2);
    const online = runIchor(["tokens", "verify", "--audience", audience, "--snapshot-file", "f"], options());
    expect(online.status).toBe(2);
  }, 30_000);
});
