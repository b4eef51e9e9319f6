import { execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { credentials, loadPackageDefinition, type ServiceError } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { envoyProtoFolders } from "../envoy-protos.ts";
import { plainEnvironment, temporaryFolder } from "../server-process.ts";

const proto = "envoy/service/auth/v3/external_auth.proto";
const script = new URL("./ext_authz_client.py", import.meta.url).pathname;

/** Asks a side-car as Envoy does, with Envoy's own protos. */
export interface EnvoyLike {
  /** A CheckRequest and a CheckResponse as protobuf JSON; rejects with an Error that has the name of the code. */
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever came.
  check(request: object): Promise<any>;
  close(): void | Promise<void>;
}

/** By @grpc/grpc-js. */
export function grpcJsEnvoy(host: string): EnvoyLike {
  const options = { includeDirs: [...envoyProtoFolders], enums: String, json: true };
  // biome-ignore lint/suspicious/noExplicitAny: the stubs are made at run time.
  const { Authorization } = (loadPackageDefinition(loadSync(proto, options)) as any).envoy.service.auth.v3;
  const stub = new Authorization(host, credentials.createInsecure());
  return {
    check: (request) =>
      new Promise((resolve, reject) => {
        stub.check(request, (error: ServiceError | null, response: unknown) => {
          if (error === null) resolve(response);
          else reject(error);
        });
      }),
    close: () => stub.close(),
  };
}

/** By Python's grpcio; `python` is the interpreter's path. */
export function pythonEnvoy(python: string, host: string): EnvoyLike {
  const stubs = temporaryFolder("envoy-stubs");
  const plugin = execFileSync("sh", ["-c", "command -v grpc_python_plugin"], { encoding: "utf8" }).trim();
  execFileSync("protoc", [
    ...envoyProtoFolders.map((folder) => `-I${folder}`),
    `--python_out=${stubs.path}`,
    `--grpc_python_out=${stubs.path}`,
    `--plugin=protoc-gen-grpc_python=${plugin}`,
    ...withImports([proto]),
  ]);
  const env = plainEnvironment();
  const child = spawn(python, [script, host, stubs.path], { env, stdio: ["pipe", "pipe", "inherit"] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async check(request) {
      child.stdin.write(`${JSON.stringify(request)}\n`);
      const { value, done } = await answers.next();
      if (done) throw new Error("the Python client ended");
      const { body, error } = JSON.parse(value);
      if (error !== undefined) throw new Error(error);
      return body;
    },
    async close() {
      child.stdin.end();
      await new Promise((resolve) => child.once("close", resolve));
      stubs.remove();
    },
  };
}

/** The protos and all that they import, but what Python's protobuf brings along. */
function withImports(protos: readonly string[]): readonly string[] {
  const all = new Set(protos);
  for (const name of all) {
    const folder = envoyProtoFolders.find((each) => existsSync(join(each, name)));
    if (folder === undefined) throw new Error(`nobody has ${name}`);
    for (const [, imported = ""] of readFileSync(join(folder, name), "utf8").matchAll(/^import (?:public )?"(.+)";/gm))
      if (!imported.startsWith("google/protobuf/")) all.add(imported);
  }
  return [...all];
}
