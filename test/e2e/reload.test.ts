import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect as connectHttp2 } from "node:http2";
import { join } from "node:path";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { makeCertificate } from "../support/certificate.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("reload");
const configFile = join(folder.path, "ichor.yaml");
const origin = "https://app.example";
let server: ServerProcess;
let tls: ReturnType<typeof makeCertificate>;

/** Writes the configuration, asks for a reload, and gives the lines that came of it. */
async function reload(...lines: string[]): Promise<Record<string, unknown>[]> {
  const from = server.log.length;
  writeFileSync(configFile, lines.join("\n"));
  process.kill(server.pid, "SIGHUP");
  const told = () => server.log.slice(from).map((line) => JSON.parse(line) as Record<string, unknown>);
  await vi.waitFor(() => expect(told().some(({ msg }) => /^configuration /.test(String(msg)))).toBe(true), {
    timeout: 10_000,
  });
  return told();
}

/** What a browser is told whose page asks whether it may call. */
async function preflight(from = origin): Promise<{ status: number; allowed: string | undefined }> {
  const session = connectHttp2(server.url, { rejectUnauthorized: false });
  const stream = session.request({
    ":method": "OPTIONS",
    ":path": "/ichor.v1.AdminService/GetApiKey",
    origin: from,
    "access-control-request-method": "POST",
  });
  const [headers] = await once(stream, "response");
  session.close();
  return { status: headers[":status"], allowed: headers["access-control-allow-origin"] };
}

async function handshake(): Promise<TLSSocket> {
  const socket = connectTls({ port: Number(new URL(server.url).port), host: "127.0.0.1", rejectUnauthorized: false });
  await once(socket, "secureConnect");
  return socket;
}

beforeAll(async () => {
  tls = makeCertificate(folder.path);
  writeFileSync(configFile, "logLevel: info\n");
  server = await startServer({
    dataDir: join(folder.path, "data"),
    env: { ICHOR_CONFIG_FILE: configFile, ICHOR_TLS_CERT_FILE: tls.certFile, ICHOR_TLS_KEY_FILE: tls.keyFile },
  });
});
afterAll(async () => {
  expect(await server.stop()).toBe(0);
  folder.remove();
});

describe("SIGHUP", () => {
  it("puts into effect what can be, and says what needs a restart", async () => {
    expect(await preflight()).toEqual({ status: 403, allowed: undefined });
    const told = await reload(`corsOrigins: [${origin}]`, "wakeUps: off");
    expect(told).toContainEqual(expect.objectContaining({ level: "warn", needRestart: ["wakeUps"] }));
    expect(told).toContainEqual(expect.objectContaining({ msg: "configuration reloaded", applied: ["corsOrigins"] }));
    expect(await preflight()).toEqual({ status: 204, allowed: origin });
    expect(await preflight("https://other.example")).toEqual({ status: 403, allowed: undefined });
  });

  it("leaves everything as it was if anything is wrong, and tells all faults", async () => {
    const told = await reload("corsOrigins: []", "logLevel: loud", "nonsense: 1");
    expect(told).toEqual([
      expect.objectContaining({
        level: "error",
        msg: "configuration not reloaded: everything stays as it was",
        faults: [
          expect.stringContaining("nonsense is not a setting"),
          expect.stringContaining("logLevel must be one of"),
        ],
      }),
    ]);
    expect(await preflight()).toEqual({ status: 204, allowed: origin });
  });

  it("gives new connections the new certificate, while those that there are go on", async () => {
    const before = (await handshake()).getPeerX509Certificate()?.fingerprint256;
    const session = connectHttp2(server.url, { rejectUnauthorized: false });
    const open = session.request({
      ":path": "/grpc.health.v1.Health/Watch",
      ":method": "POST",
      "content-type": "application/grpc",
    });
    open.end(Buffer.alloc(5));
    await once(open, "data");

    makeCertificate(folder.path);
    await reload(`corsOrigins: [${origin}]`);
    const after = (await handshake()).getPeerX509Certificate()?.fingerprint256;
    expect(after).toBeDefined();
    expect(after).not.toBe(before);
    const second = session.request({ ":path": "/livez" });
    const [headers] = await once(second, "response");
    expect(headers[":status"]).toBe(200);
    expect(open.closed).toBe(false);
    session.destroy();
  });

  it("keeps the certificate if the files no longer hold one", async () => {
    const before = (await handshake()).getPeerX509Certificate()?.fingerprint256;
    writeFileSync(tls.certFile, "no certificate");
    const told = await reload("corsOrigins: []");
    expect(told).toEqual([expect.objectContaining({ faults: [expect.stringMatching(/can't be used/)] })]);
    expect((await handshake()).getPeerX509Certificate()?.fingerprint256).toBe(before);
    expect(await preflight()).toEqual({ status: 204, allowed: origin });
  });
});
