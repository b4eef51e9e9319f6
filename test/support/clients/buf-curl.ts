import { execFile } from "node:child_process";
import { tmpdir } from "node:os";
import { fromBinary } from "@bufbuild/protobuf";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import type { Answer, MakeClient } from "./client.ts";

const buf = new URL("../../../node_modules/.bin/buf", import.meta.url).pathname;

/** `buf curl` with nothing but server reflection to know the services by: it runs where no proto file is. */
export function bufCurlClient(
  protocol: "connect" | "grpc" | "grpcweb",
  reflection: "grpc-v1" | "grpc-v1alpha",
): MakeClient {
  return async (url, credential) => ({
    call: (method, body) =>
      new Promise<Answer>((resolve, reject) => {
        const args = [
          "curl",
          "--http2-prior-knowledge",
          "--protocol",
          protocol,
          "--reflect",
          "--reflect-protocol",
          reflection,
        ];
        args.push(
          "--header",
          `Authorization: Bearer ${credential}`,
          "--data",
          JSON.stringify(body),
          `${url}/ichor.v1.${method}`,
        );
        execFile(buf, args, { cwd: tmpdir() }, (error, stdout, stderr) => {
          if (error === null) return resolve({ body: JSON.parse(stdout) });
          const value = /"type": "google.rpc.ErrorInfo",\s*"value": "([^"]+)"/.exec(stderr)?.[1];
          if (value === undefined) return reject(new Error(stderr));
          resolve({ reason: fromBinary(ErrorInfoSchema, Buffer.from(value, "base64")).reason });
        });
      }),
    close() {},
  });
}
