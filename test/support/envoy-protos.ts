import { execFileSync } from "node:child_process";
import { cpSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { createFileRegistry, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { temporaryFolder } from "./server-process.ts";

/** Where a package of others has the protos of Envoy, and those that they import. */
export const envoyProtoFolders: readonly string[] = ["envoy-api", "googleapis", "protoc-gen-validate", "xds"].map(
  (name) => join(dirname(createRequire(import.meta.url).resolve("@grpc/grpc-js-xds/package.json")), "deps", name),
);

/** What its configuration is made of, beside the API that it calls. */
const wanted = [
  "envoy/service/auth/v3",
  "envoy/config/bootstrap/v3",
  "envoy/extensions/filters/http/ext_authz/v3",
  "envoy/extensions/filters/http/router/v3",
  "envoy/extensions/filters/network/http_connection_manager/v3",
  "envoy/extensions/upstreams/http/v3",
];

/** Envoy's own messages, as their protos declare them; takes some tenths of a second. */
export function envoyRegistry(): FileRegistry {
  const folder = temporaryFolder("envoy-protos");
  const modules = envoyProtoFolders.map((from, i) => {
    cpSync(from, join(folder.path, String(i)), { recursive: true });
    return { path: String(i) };
  });
  const envoy = join(folder.path, "0");
  for (const name of readdirSync(join(envoy, "envoy/config/core/v3"))) {
    // A rule that the package's older copy of its declaration doesn't know; nothing here goes by rules.
    const path = join(envoy, "envoy/config/core/v3", name);
    writeFileSync(path, readFileSync(path, "utf8").replaceAll(/\bignore_empty: true/g, ""));
  }
  writeFileSync(join(folder.path, "buf.yaml"), JSON.stringify({ version: "v2", modules }));
  const buf = join(import.meta.dirname, "../../node_modules/.bin/buf");
  const paths = wanted.flatMap((path) => ["--path", join("0", path)]);
  const image = execFileSync(buf, ["build", ...paths, "-o", "-"], { cwd: folder.path, maxBuffer: 64 * 1024 * 1024 });
  folder.remove();
  return createFileRegistry(fromBinary(FileDescriptorSetSchema, image));
}
