import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { create } from "@bufbuild/protobuf";
import { sizeDelimitedEncode } from "@bufbuild/protobuf/wire";
import { type ConnectRouter, createClient } from "@connectrpc/connect";
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { FeedKeySchema, WatchKeySetResponseSchema } from "../../gen/ichor/v1/key_set_pb.ts";
import { createListener } from "../../services/http/listener.ts";
import { EventRefused } from "../../services/verifier/feed-trust.ts";
import { readKeySet } from "../../services/verifier/read-key-set.ts";
import { callJson } from "../support/calls.ts";
import { makeCertificate } from "../support/certificate.ts";
import { runIchor, startIchor } from "../support/command-line.ts";
import { collectLog } from "../support/fake-server.ts";
import { FeedForger } from "../support/feed-forger.ts";
import { plainEnvironment, type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";
import { honestly, type Tamper, tampering } from "../support/tampering.ts";

const folder = temporaryFolder("signed-feeds");
const audience = "https://api.example";
const dataDir = join(folder.path, "data");
let server: ServerProcess;
let watcher: string;
let feedKey: string;
beforeAll(async () => {
  mkdirSync(dataDir);
  server = await startServer({ dataDir });
  const scopes = ["ichor:keyset:watch", `ichor:verify:aud:${audience}`];
  watcher = (await call("IssueApiKey", { name: "watcher", scopes })).credential;
  feedKey = JSON.parse(ichor("--json", "feed-key", "show").stdout).feedKeys[0].feedKeyId;
});
afterAll(async () => {
  await server.stop();
  folder.remove();
});

const ichor = (...args: string[]) =>
  runIchor(args, { cwd: folder.path, env: { ICHOR_DATA_DIR: dataDir, ICHOR_URL: server.url } });

async function call(method: string, body: object, headers: Record<string, string> = {}) {
  const url = `${server.url}/ichor.v1.AdminService/${method}`;
  const all = { authorization: `Bearer ${server.rootCredential}`, "content-type": "application/json", ...headers };
  const response = await fetch(url, { method: "POST", headers: all, body: JSON.stringify(body) });
  expect(response.status).toBe(200);
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever JSON came.
  return (await response.json()) as any;
}

const fetchKeySet = (credential: string | undefined, { path = "", method = "GET", headers = {} } = {}) =>
  fetch(`${server.url}${path}/v1/keyset`, {
    method,
    headers: { ...(credential && { authorization: `Bearer ${credential}` }), ...headers },
  });

describe("GET /v1/keyset", () => {
  it("gives the public feed as bytes that the feed key vouches for, wherever they come from", async () => {
    const { apiKey } = await call("IssueApiKey", { name: "k" });
    await call("RevokeApiKey", { keyId: apiKey.id });
    const response = await fetchKeySet(watcher);
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-type": "application/x-protobuf; delimited=true",
      "cache-control": "private, max-age=2",
      vary: expect.stringContaining("Authorization"),
    });
    const body = new Uint8Array(await response.arrayBuffer());
    const keySet = await readKeySet(body, { feedKeys: [feedKey], issuer: server.url });
    const { keys } = (await (await fetch(`${server.url}/.well-known/jwks.json`)).json()) as { keys: object[] };
    expect(keySet).toMatchObject({ issuer: server.url, feedKeyId: feedKey, signingKeys: keys, tenantDisabled: false });
    expect(keySet.keyState(apiKey.id)).toMatchObject({ status: "REVOKED" });
    expect(Date.now() - keySet.asOf.getTime()).toBeLessThan(60_000);
    const refused = [
      readKeySet(body, { feedKeys: ["x".repeat(43)], issuer: server.url }),
      readKeySet(body, { feedKeys: [feedKey], issuer: "https://other.example" }),
      readKeySet(body.subarray(0, -1), { feedKeys: [feedKey], issuer: server.url }),
      readKeySet(new Uint8Array(), { feedKeys: [feedKey], issuer: server.url }),
    ];
    for (const one of refused) await expect(one).rejects.toBeInstanceOf(EventRefused);
    // Nor what is put beside it.
    const asOf = { seconds: BigInt(2 ** 33), nanos: 0 };
    for (const feed of ["public", "other"]) {
      const more = create(WatchKeySetResponseSchema, { event: { case: "snapshotEnd", value: { feed, asOf } } });
      const longer = Buffer.concat([body, sizeDelimitedEncode(WatchKeySetResponseSchema, more)]);
      const read = await readKeySet(longer, { feedKeys: [feedKey], issuer: server.url }).catch((error) => error);
      if (feed === "public") expect(read).toBeInstanceOf(EventRefused);
      else expect(wordsOf(read)).toEqual(wordsOf(keySet));
    }
    // Not a byte of what it says can be another one.
    for (let at = 0; at < body.length; at += 7) {
      const other = Uint8Array.from(body);
      other[at] = (other[at] ?? 0) ^ 1;
      const read = await readKeySet(other, { feedKeys: [feedKey], issuer: server.url }).catch((error) => error);
      if (!(read instanceof EventRefused)) {
        // What is counted before the items, and keys that nobody needs, aren't signed.
        expect(wordsOf(read), `byte ${at}`).toEqual(wordsOf(keySet));
      }
    }
  });

  it("says nothing again to who has this very one, and only says how large it is to who asks that", async () => {
    // Between two questions it may just have been made anew.
    for (;;) {
      const whole = await fetchKeySet(watcher);
      const etag = whole.headers.get("etag") ?? "";
      const length = (await whole.arrayBuffer()).byteLength;
      const again = await fetchKeySet(watcher, { headers: { "if-none-match": etag } });
      const head = await fetchKeySet(watcher, { method: "HEAD" });
      if (head.headers.get("etag") !== etag) continue;
      expect([again.status, again.headers.get("etag"), await again.text()]).toEqual([304, etag, ""]);
      expect([head.status, Number(head.headers.get("content-length")), await head.text()]).toEqual([200, length, ""]);
      return;
    }
  });

  it("is for callers who may watch key sets, in the tenant that the path names", async () => {
    const other = (await call("CreateTenant", { slug: "other", name: "Other" })).tenant;
    const scopes = ["ichor:keyset:watch"];
    const theirs = (await call("IssueApiKey", { name: "w", scopes }, { "ichor-tenant": "other" })).credential;
    const plain = (await call("IssueApiKey", { name: "p", scopes: ["a"] })).credential;
    const path = `/t/${other.id}`;
    const cases: [string | undefined, string, number][] = [
      [undefined, "", 401],
      ["ichor_sk_nonsense", "", 401],
      [plain, "", 403],
      [theirs, path, 200],
      [theirs, "", 404],
      [watcher, path, 404],
      [watcher, "/t/ten_00000000000000000000000000", 404],
    ];
    for (const [credential, at, status] of cases) {
      const response = await fetchKeySet(credential, { path: at });
      expect([at, response.status]).toEqual([at, status]);
      if (status !== 200) {
        expect(response.headers.get("cache-control")).toBe("no-store");
        expect(await response.json()).toHaveProperty("code");
      }
    }
    const body = new Uint8Array(await (await fetchKeySet(theirs, { path })).arrayBuffer());
    const issuer = `${server.url}${path}`;
    expect(await readKeySet(body, { feedKeys: [feedKey], issuer })).toMatchObject({ tenantId: other.id, issuer });
    await expect(readKeySet(body, { feedKeys: [feedKey], issuer: server.url })).rejects.toBeInstanceOf(EventRefused);
  });
});

describe("a process that is told a feed key, behind somebody who changes what it is told", () => {
  let between: Awaited<ReturnType<typeof startBetween>>;
  beforeAll(async () => {
    between = await startBetween(server.url);
  });
  afterAll(() => between.close());
  afterEach(() => {
    between.tamper = honestly;
  });

  const trusting = () => ["--issuer", server.url, "--feed-key", feedKey];
  const start = (...args: string[]) => {
    const env = { ICHOR_URL: between.url, ICHOR_CREDENTIAL: watcher };
    return startIchor(args, { cwd: folder.path, env });
  };
  async function revokedKey() {
    const { apiKey, credential } = await call("IssueApiKey", { name: "k", scopes: ["a"] });
    const asked = { format: "TOKEN_FORMAT_JWT", audiences: [audience] };
    const { body } = await callJson(server.url, "DerivationService/DeriveToken", credential, asked);
    const { revision } = await call("RevokeApiKey", { keyId: apiKey.id });
    return { keyId: apiKey.id as string, token: body.token as string, revision: revision as string };
  }
  const hidingItems: Tamper = (response) => {
    if (response.event.case === "delta") delete response.event.value.items;
    return response.event.case === "snapshotItems" ? [] : [response];
  };

  it("says what it refuses, and goes on when it is told the truth", { timeout: 30_000 }, async () => {
    const command = startIchor(["--json", "watch", ...trusting()], {
      cwd: folder.path,
      env: { ICHOR_URL: between.url, ICHOR_CREDENTIAL: watcher },
    });
    const told = async (fits: (event: Record<string, unknown>) => boolean) =>
      JSON.parse(await command.line((line) => fits(JSON.parse(line))));
    await told(({ event }) => event === "snapshot");
    const first = await revokedKey();
    await told(({ revision }) => revision === first.revision);
    between.tamper = hidingItems;
    const second = await revokedKey();
    const { why } = await told(({ event }) => event === "disconnected");
    expect(why).toBe("the signature of the delta is wrong");
    expect(command.lines.some((line) => JSON.parse(line).revision === second.revision)).toBe(false);
    between.tamper = honestly;
    await told(({ event, revision }) => event === "delta" && Number(revision) >= Number(second.revision));
    expect((await command.interrupt()).status).toBe(0);
  });

  it("can't tell whether a token is good that its key set doesn't vouch for", { timeout: 30_000 }, async () => {
    const { token } = await revokedKey();
    writeFileSync(join(folder.path, "token.txt"), token);
    const verify = (timeout: string) =>
      start(
        ...["tokens", "verify", "--offline", "--audience", audience, "--token-file", "token.txt"],
        ...["--timeout", timeout, ...trusting()],
      ).ended;
    between.tamper = hidingItems;
    expect(await verify("2s")).toMatchObject({
      status: 3,
      stderr: expect.stringMatching(/NOT_READY: .*the signature of the snapshot is wrong/),
    });
    between.tamper = honestly;
    expect((await verify("15s")).status).toBe(1);
  });

  it("is a side-car that doesn't get ready, and logs why", { timeout: 30_000 }, async () => {
    const file = join(folder.path, "watcher.key");
    writeFileSync(file, `${watcher}\n`, { mode: 0o600 });
    between.tamper = hidingItems;
    const sidecar = startIchor(
      [
        ...["sidecar", "--upstream", between.url, "--credential-file", file, "--listen", "127.0.0.1:0"],
        ...["--feed-keys", feedKey, "--issuer", server.url],
      ],
      { cwd: folder.path, env: {} },
    );
    const line = await sidecar.line((text) => JSON.parse(text).msg === "refuses what it was told");
    expect(JSON.parse(line)).toMatchObject({
      level: "error",
      feed: "public",
      why: "the signature of the snapshot is wrong",
    });
    const { address } = JSON.parse(await sidecar.line((text) => JSON.parse(text).msg === "listening"));
    expect((await fetch(`${address}/readyz`)).status).toBe(503);
    between.tamper = honestly;
    await expect.poll(async () => (await fetch(`${address}/readyz`)).status, { timeout: 20_000 }).toBe(200);
    await sidecar.interrupt();
  });
});

describe("a verifier that learns the feed key", () => {
  it("believes the first that it is told over TLS, in its next process as well, and no other", {
    timeout: 30_000,
  }, async () => {
    const { certFile, keyFile } = makeCertificate(folder.path);
    const tls = { key: readFileSync(keyFile), cert: readFileSync(certFile) };
    const between = await startBetween(server.url, tls);
    const snapshotFile = join(folder.path, "learned.keyset");
    const learning = { url: between.url, audience, credential: watcher, feedKeys: "learn", snapshotFile };
    const start = () => startVerifier(learning, { NODE_EXTRA_CA_CERTS: certFile });
    const forger = new FeedForger();
    between.tamper = (response) => {
      forger.hears(response);
      return [response];
    };
    const first = start();
    expect(await first.next()).toEqual({ ready: feedKey });
    await first.close();
    between.tamper = (response) => {
      if (response.event.case === "feedKeys") {
        response.event.value.keys = [create(FeedKeySchema, { publicKey: forger.publicKey })];
      }
      forger.resign(response);
      return [response];
    };
    const second = start();
    expect(await second.next()).toEqual({ ready: feedKey });
    expect(await second.next()).toEqual({
      refused: expect.stringContaining(`by ${forger.feedKeyId}, which isn't believed`),
    });
    await second.close();
    await between.close();
  });
});

describe("a server of several processes", () => {
  it("signs by the successor in each of them once that is announced by force", { timeout: 40_000 }, async () => {
    const own = join(folder.path, "workers");
    mkdirSync(own);
    const several = await startServer({ dataDir: own, args: ["--workers", "2"] });
    try {
      const env = { ICHOR_DATA_DIR: own };
      const rotate = runIchor(["--json", "feed-key", "rotate", "--force"], { cwd: folder.path, env });
      const { feedKeyId, predecessorId } = JSON.parse(rotate.stdout);
      const headers = { authorization: `Bearer ${several.rootCredential}`, connection: "close" };
      // Connections go to one process after the other.
      for (let right = 0; right < 6; ) {
        const response = await fetch(`${several.url}/v1/keyset`, { headers });
        const body = new Uint8Array(await response.arrayBuffer());
        const keySet = await readKeySet(body, { feedKeys: [predecessorId], issuer: several.url });
        right = keySet.feedKeyId === feedKeyId ? right + 1 : 0;
        if (right === 0) await new Promise((resolve) => setTimeout(resolve, 50));
      }
    } finally {
      await several.stop();
    }
  });
});

/** A process that embeds a verifier, and tells when it is ready, by which feed key, and what it refuses. */
function startVerifier(options: object, env: Readonly<Record<string, string>>) {
  const script = `
    import { createVerifier } from ${JSON.stringify(new URL("../../dist/services/verifier/index.js", import.meta.url))};
    const tell = (line) => console.log(JSON.stringify(line));
    const onEvent = ({ kind, error }) => kind === "refused" && tell({ refused: error.message });
    const verifier = createVerifier({ ...${JSON.stringify(options)}, onEvent });
    verifier.ready().then(() => tell({ ready: verifier.status().feedKeyId }));
    process.stdin.resume().on("end", () => verifier.close());`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    env: { ...plainEnvironment(), ...env },
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    next: async () => JSON.parse((await lines.next()).value ?? "null"),
    async close() {
      child.stdin.end();
      await once(child, "close");
    },
  };
}

/** A server that hands on the key set of another, as it likes. */
async function startBetween(url: string, tls?: { readonly key: Buffer; readonly cert: Buffer }) {
  const between = tampering(createConnectTransport({ baseUrl: url, httpVersion: "2" }));
  const origin = createClient(DerivationService, between.transport);
  const routes = ({ service }: ConnectRouter) =>
    service(DerivationService, {
      watchKeySet: (request, { requestHeader, signal }) =>
        origin.watchKeySet(request, { ...as(requestHeader), signal }),
      ackKeySet: (request, { requestHeader }) => origin.ackKeySet(request, as(requestHeader)),
    });
  const as = (header: Headers) => ({ headers: { authorization: header.get("authorization") ?? "" } });
  const listener = createListener({
    ...{ handler: connectNodeAdapter({ routes }), log: collectLog() },
    ...(tls && { tls }),
  });
  const { url: at } = await listener.listen("127.0.0.1", 0);
  return {
    url: at,
    set tamper(tamper: Tamper) {
      between.tamper = tamper;
    },
    close: () => listener.drain(0),
  };
}

/** What a key set says, to be compared. */
function wordsOf({ keyState: _, isTokenRevoked: __, ...said }: Awaited<ReturnType<typeof readKeySet>>): object {
  return said;
}
