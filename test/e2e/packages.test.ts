import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { installPackages, linkPackage } from "../support/packed-project.ts";
import { plainEnvironment, type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const data = temporaryFolder("packages-data");
const project = temporaryFolder("packages");
const audience = "https://api.example";
let server: ServerProcess;

beforeAll(async () => {
  server = await startServer({ dataDir: data.path, env: { ICHOR_PUBLIC_URL: "https://keys.example" } });
  installPackages(project.path);
}, 120_000);
afterAll(async () => {
  await server.stop();
  data.remove();
  project.remove();
});

function run(script: string): unknown {
  const path = join(project.path, "script.mjs");
  writeFileSync(path, script);
  const env = { ...plainEnvironment(), URL_OF: server.url, ROOT: server.rootCredential, AUDIENCE: audience };
  return JSON.parse(execFileSync(process.execPath, [path], { cwd: project.path, env, encoding: "utf8" }));
}

/** What TypeScript says of a module of the project. */
function compile(module: string): string {
  const path = join(project.path, "service.ts");
  writeFileSync(path, module);
  const compiler = resolve("node_modules/typescript/bin/tsc");
  const flags = [
    "--noEmit",
    "--strict",
    "--target",
    "es2022",
    "--module",
    "nodenext",
    "--skipLibCheck",
    "--ignoreConfig",
  ];
  const types = ["--types", "node", "--typeRoots", resolve("node_modules/@types")];
  const { stdout } = spawnSync(process.execPath, [compiler, ...flags, ...types, path], {
    cwd: project.path,
    encoding: "utf8",
  });
  return stdout;
}

describe("@ichor/verifier and @ichor/client, installed in an empty project", () => {
  it("need no more than the packages that they name", () => {
    const root = join(project.path, "node_modules");
    const installed = readdirSync(root, { withFileTypes: true })
      .filter(({ name }) => !name.startsWith("."))
      .flatMap(({ name }) => (name.startsWith("@") ? readdirSync(join(root, name)).map((n) => `${name}/${n}`) : name));
    expect(installed.sort()).toEqual([
      "@bufbuild/protobuf",
      "@connectrpc/connect",
      "@connectrpc/connect-node",
      "@ichor/client",
      "@ichor/verifier",
      "jose",
    ]);
  });

  it("issue, derive, verify offline and revoke", () => {
    const told = run(`
      import { createIchorClient, TokenFormat } from "@ichor/client";
      import { attenuate, createVerifier } from "@ichor/verifier";
      const { URL_OF: url, ROOT: root, AUDIENCE: audience } = process.env;
      const { admin } = createIchorClient({
        url, credential: root, headers: () => ({ traceparent: "00-${"12".repeat(16)}-${"34".repeat(8)}-00" }),
      });
      const key = await admin.issueApiKey({ name: "k", scopes: ["a:*"], ownerId: "acme" });
      const scopes = ["ichor:keyset:watch", "ichor:verify:aud:" + audience];
      const service = await admin.issueApiKey({ name: "service", scopes });
      const { derivation } = createIchorClient({ url, credential: key.credential });
      const { token } = await derivation.deriveToken({
        format: TokenFormat.MACAROON, audiences: [audience], scopes: ["a:b"],
      });
      const verifier = createVerifier({ url, audience, credential: service.credential });
      await verifier.ready();
      const first = await verifier.verify(token, { scopes: ["a:b"] });
      const narrow = await verifier.verify(attenuate(token, { scopes: ["a:c"] }), { scopes: ["a:b"] });
      const { appliedEverywhere } = await admin.revokeApiKey({
        keyId: key.apiKey.id, wait: { seconds: 10n, nanos: 0 },
      });
      const last = await verifier.verify(token);
      await verifier.close();
      console.log(JSON.stringify({
        first: [first.code, first.ownerId], narrow: narrow.code, appliedEverywhere, last: last.code,
      }));
      process.exit(0);
    `);
    expect(told).toEqual({
      first: ["VALID", "acme"],
      narrow: "INSUFFICIENT_SCOPE",
      appliedEverywhere: true,
      last: "REVOKED",
    });
  });

  it("let the server's log have the trace that a call was made in", async () => {
    await vi.waitFor(() => expect(server.log.join("\n")).toContain(`"traceId":"${"12".repeat(16)}"`));
  });

  it("offer each adapter", () => {
    expect(
      run(`
        const names = ["connect", "express", "fastify"];
        const modules = await Promise.all(names.map((name) => import("@ichor/verifier/" + name)));
        console.log(JSON.stringify(modules.map((one) => Object.keys(one).sort())));
      `),
    ).toEqual([["callerKey", "verifierInterceptor"], ["requireCredential"], ["ichorVerifier"]]);
  });

  it("have types that a service's own code fits, and that refuse what makes no sense", () => {
    linkPackage(project.path, "fastify");
    const told = compile(`
      import { createServer } from "node:http";
      import { createRemoteVerifier, createVerifier, type CredentialVerifier, type VerifyResult } from "@ichor/verifier";
      import { callerKey, verifierInterceptor } from "@ichor/verifier/connect";
      import { requireCredential, type VerifiedRequest } from "@ichor/verifier/express";
      import { ichorVerifier } from "@ichor/verifier/fastify";
      import fastify, { type FastifyRequest } from "fastify";

      const url = "https://keys.example";
      export const verifiers: CredentialVerifier[] = [
        createRemoteVerifier({ socketPath: "/run/ichor/sidecar.sock", audience: "a", timeoutMs: 500 }),
        createVerifier({ url, audience: "a", credential: "c", keys: {} }),
        createVerifier({ url, audience: "a", credential: "c", keys: { url, credential: "d" } }),
      ];
      const [verifier] = verifiers as [CredentialVerifier];
      const guard = requireCredential(verifier, ({ method, socket }) => ({
        scopes: [String(method)],
        ...(socket.remoteAddress !== undefined && { clientIp: socket.remoteAddress }),
        cost: 2,
      }));
      createServer((request: VerifiedRequest, response) => guard(request, response, () => response.end(request.ichor?.ownerId)));
      verifierInterceptor(verifier, (method) => ({ scopes: [method] }));
      export const caller: VerifyResult | undefined = callerKey.defaultValue;
      await fastify().register(ichorVerifier, { verifier, demandOf: ({ ip }: FastifyRequest) => ({ clientIp: ip }) });
      // @ts-expect-error a scope is a text
      requireCredential(verifier, { scopes: [1] });
      // @ts-expect-error what can't verify is no verifier
      requireCredential({});
      // @ts-expect-error no such option
      createRemoteVerifier({ socket: "/run/ichor/sidecar.sock" });
    `);
    expect(told).toBe("");
    expect(compile("export const n: string = 1;")).toContain("TS2322");
  });

  it("have the versions of their dependencies that this repository has", () => {
    const own = JSON.parse(readFileSync("package.json", "utf8")).dependencies;
    for (const name of ["verifier", "client"]) {
      const { dependencies } = JSON.parse(readFileSync(`services/${name}/package.json`, "utf8"));
      for (const [dependency, version] of Object.entries(dependencies)) expect(version).toBe(own[dependency]);
    }
  });
});
