import { execFileSync, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { plainEnvironment, temporaryFolder } from "../server-process.ts";
import type { Answer, MakeClient } from "./client.ts";

const protos = new URL("../../../proto", import.meta.url).pathname;
const script = new URL("./python_client.py", import.meta.url).pathname;
const files = [
  "google/rpc/status.proto",
  "google/rpc/error_details.proto",
  ...readdirSync(new URL("../../../proto/ichor/v1", import.meta.url)).map((name) => `ichor/v1/${name}`),
];

/** gRPC by Python's grpcio, with stubs that protoc makes from the protos. `python` is the interpreter's path. */
export function pythonClient(python: string): MakeClient {
  return async (url, credential) => {
    const stubs = temporaryFolder("stubs");
    const plugin = execFileSync("sh", ["-c", "command -v grpc_python_plugin"], { encoding: "utf8" }).trim();
    execFileSync("protoc", [
      `-I${protos}`,
      `--python_out=${stubs.path}`,
      `--grpc_python_out=${stubs.path}`,
      `--plugin=protoc-gen-grpc_python=${plugin}`,
      ...files,
    ]);
    const child = spawn(python, [script, new URL(url).host, stubs.path], {
      env: { ...plainEnvironment(), PRESENTED_CREDENTIAL: credential },
      stdio: ["pipe", "pipe", "inherit"],
    });
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return {
      async call(method, body): Promise<Answer> {
        child.stdin.write(`${JSON.stringify({ method, body })}\n`);
        const { value, done } = await answers.next();
        if (done) throw new Error("the Python client ended");
        return JSON.parse(value);
      },
      async close() {
        child.stdin.end();
        await new Promise((resolve) => child.once("close", resolve));
        stubs.remove();
      },
    };
  };
}
