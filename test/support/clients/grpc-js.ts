import { findTrailerError } from "@connectrpc/connect/protocol-grpc";
import { credentials, loadPackageDefinition, Metadata, type ServiceError } from "@grpc/grpc-js";
import { loadSync } from "@grpc/proto-loader";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import type { Answer, MakeClient } from "./client.ts";

const definition = loadPackageDefinition(
  loadSync("ichor/v1/admin_service.proto", {
    includeDirs: [new URL("../../../proto", import.meta.url).pathname],
    longs: String,
    enums: String,
    defaults: true,
    bytes: String,
  }),
);

/** gRPC over cleartext HTTP/2 by @grpc/grpc-js with stubs made from the protos. */
export const grpcJsClient: MakeClient = async (url, credential) => {
  const metadata = new Metadata();
  metadata.set("authorization", `Bearer ${credential}`);
  // biome-ignore lint/suspicious/noExplicitAny: the stubs are made at run time.
  const { AdminService } = (definition as any).ichor.v1;
  const stub = new AdminService(new URL(url).host, credentials.createInsecure());
  return {
    call: (method, body) =>
      new Promise<Answer>((resolve) => {
        stub[method.split("/")[1] as string](
          spansAsMessages(body),
          metadata,
          (error: ServiceError | null, response: object) => {
            resolve(error === null ? { body: response } : { reason: reasonOf(error) });
          },
        );
      }),
    close: () => stub.close(),
  };
};

/** proto-loader wants Durations as messages, where protobuf JSON has `"3600s"`. */
function spansAsMessages(body: object): object {
  return JSON.parse(JSON.stringify(body), (_name, value) => {
    const span = typeof value === "string" ? /^(\d+)s$/.exec(value) : null;
    return span === null ? value : { seconds: span[1], nanos: 0 };
  });
}

function reasonOf({ code, details, metadata }: ServiceError): string {
  const [bytes] = metadata.get("grpc-status-details-bin");
  const status = Buffer.isBuffer(bytes) ? { "grpc-status-details-bin": bytes.toString("base64") } : {};
  const error = findTrailerError(new Headers({ "grpc-status": String(code), ...status }));
  return error?.findDetails(ErrorInfoSchema)[0]?.reason ?? details;
}
