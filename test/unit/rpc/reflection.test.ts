import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
} from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { AdminService } from "../../../gen/ichor/v1/admin_service_pb.ts";
import { reflectionServices } from "../../../services/rpc/reflection.ts";

type Asked = MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"];

/** Asks all on one stream. */
async function ask(...asked: Asked[]) {
  async function* questions(): AsyncGenerator<ServerReflectionRequest> {
    for (const messageRequest of asked)
      yield create(ServerReflectionRequestSchema, { host: "h", messageRequest } as never);
  }
  const carrier = {
    header: () => undefined,
    peerAddress: "",
    signal: new AbortController().signal,
    onClose: () => {},
    timeoutMs: () => undefined,
  };
  const [v1] = reflectionServices([AdminService]);
  const answers = [];
  for await (const answer of v1?.open[0]?.run(questions(), carrier) ?? []) answers.push(answer);
  return answers;
}

const filesOf = (answer: {
  messageResponse: { value: { fileDescriptorProto: Uint8Array[] } };
}): FileDescriptorProto[] =>
  answer.messageResponse.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
const namesOf = (answer: Parameters<typeof filesOf>[0]): string[] => filesOf(answer).map(({ name }) => name);

describe("reflection", () => {
  it("lists what is served, itself and health included", async () => {
    const [answer] = await ask({ case: "listServices", value: "*" });
    expect(answer.validHost).toBe("h");
    expect(answer.originalRequest.messageRequest).toEqual({ case: "listServices", value: "*" });
    expect(answer.messageResponse.value.service.map(({ name }: { name: string }) => name)).toEqual([
      "grpc.health.v1.Health",
      "grpc.reflection.v1.ServerReflection",
      "grpc.reflection.v1alpha.ServerReflection",
      "ichor.v1.AdminService",
    ]);
  });

  it.each([
    ["ichor.v1.AdminService", "ichor/v1/admin_service.proto"],
    [".ichor.v1.AdminService", "ichor/v1/admin_service.proto"],
    ["ichor.v1.AdminService.GetApiKey", "ichor/v1/admin_service.proto"],
    ["ichor.v1.GetApiKeyRequest", "ichor/v1/admin_service.proto"],
    ["ichor.v1.GetApiKeyRequest.key_id", "ichor/v1/admin_service.proto"],
    ["ichor.v1.IssueApiKeyRequest.expiration", "ichor/v1/admin_service.proto"],
    ["ichor.v1.KeyStatus", "ichor/v1/api_key.proto"],
    ["ichor.v1.KEY_STATUS_ACTIVE", "ichor/v1/api_key.proto"],
    ["google.protobuf.Timestamp", "google/protobuf/timestamp.proto"],
    ["google.rpc.BadRequest.FieldViolation", "google/rpc/error_details.proto"],
    ["grpc.health.v1.HealthCheckResponse.SERVING", "grpc/health/v1/health.proto"],
  ])("finds the file that declares %s", async (symbol, file) => {
    const [answer] = await ask({ case: "fileContainingSymbol", value: symbol });
    expect(namesOf(answer)[0]).toBe(file);
  });

  it("sends a file with all that it imports, each once per stream", async () => {
    const [first, second, third] = await ask(
      { case: "fileByFilename", value: "ichor/v1/admin_service.proto" },
      { case: "fileByFilename", value: "ichor/v1/api_key.proto" },
      { case: "fileByFilename", value: "ichor/v1/admin_service.proto" },
    );
    expect(namesOf(first)).toEqual(
      expect.arrayContaining([
        "ichor/v1/admin_service.proto",
        "ichor/v1/api_key.proto",
        "google/protobuf/timestamp.proto",
      ]),
    );
    const sent = new Set(namesOf(first));
    expect(sent.size).toBe(namesOf(first).length);
    for (const { dependency } of filesOf(first)) for (const name of dependency) expect(sent).toContain(name);
    // What was asked for comes again; what it imports is known by now.
    expect(namesOf(second)).toEqual(["ichor/v1/api_key.proto"]);
    expect(namesOf(third)).toEqual(["ichor/v1/admin_service.proto"]);
  });

  it.each<Asked>([
    { case: "fileByFilename", value: "no/such.proto" },
    { case: "fileContainingSymbol", value: "ichor.v1.Nothing" },
    { case: "fileContainingExtension", value: { containingType: "ichor.v1.ApiKey", extensionNumber: 1 } },
    { case: "allExtensionNumbersOfType", value: "ichor.v1.Nothing" },
  ])("says NOT_FOUND and goes on: %j", async (asked) => {
    const [answer, next] = await ask(asked, { case: "listServices", value: "" });
    expect(answer.messageResponse).toEqual({
      case: "errorResponse",
      value: { errorCode: 5, errorMessage: "not found" },
    });
    expect(next.messageResponse.case).toBe("listServicesResponse");
  });

  it("knows that a message has no extensions", async () => {
    const [answer] = await ask({ case: "allExtensionNumbersOfType", value: "ichor.v1.ApiKey" });
    expect(answer.messageResponse.value).toEqual({ baseTypeName: "ichor.v1.ApiKey", extensionNumber: [] });
  });

  it("refuses a question that asks nothing", async () => {
    const [answer] = await ask({ case: undefined });
    expect(answer.messageResponse).toMatchObject({ case: "errorResponse", value: { errorCode: 3 } });
  });
});
