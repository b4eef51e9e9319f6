import { type DescFile, type DescService, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code } from "@connectrpc/connect";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.ts";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import type { Carrier } from "./call.ts";
import { openService, type Registration } from "./method-registry.ts";
import { indexSymbols, type SymbolIndex } from "./symbol-index.ts";

/** How long a reflection stream waits for the next question, in ms. Tools ask everything at once. */
const questionMsMax = 60_000;

/**
 * Server reflection, v1 and v1alpha, about the given services, health and itself. Both versions are the same but for their
 * package. No service imports the details of errors, but tools look them up to show them. Descriptors carry no comments,
 * since generated code holds none.
 */
export function reflectionServices(services: readonly DescService[]): readonly Registration[] {
  const all = [...new Set([...services, Health, ServerReflection, ServerReflectionAlpha])];
  const index = indexSymbols([...all.map(({ file }) => file), file_google_rpc_error_details]);
  const names = all.map(({ typeName }) => typeName).sort();
  return [
    openService(ServerReflection, {
      serverReflectionInfo: (questions, carrier) => converse(questions, carrier, index, names),
    }),
    openService(ServerReflectionAlpha, {
      serverReflectionInfo: (questions, carrier) => converse(questions, carrier, index, names),
    }),
  ];
}

/** What both versions have in common. */
type Question = Unbranded<Pick<ServerReflectionRequest, "host" | "messageRequest">>;
type Answer = Unbranded<ServerReflectionResponse["messageResponse"]>;
type Unbranded<T> = T extends Uint8Array
  ? T
  : T extends readonly (infer E)[]
    ? Unbranded<E>[]
    : T extends object
      ? { [K in keyof T as K extends "$typeName" | "$unknown" ? never : K]: Unbranded<T[K]> }
      : T;

async function* converse<Q extends Question>(
  questions: AsyncIterable<Q>,
  { signal }: Carrier,
  index: SymbolIndex,
  serviceNames: readonly string[],
) {
  const sent = new Set<DescFile>();
  for await (const question of untilSilent(questions, signal)) {
    const messageResponse = answer(question.messageRequest, index, serviceNames, sent);
    yield { validHost: question.host, originalRequest: question, messageResponse };
  }
}

/** Answers one question; `sent` are the files that this stream has had already. */
function answer(
  question: Question["messageRequest"],
  { files, symbols, extensions }: SymbolIndex,
  serviceNames: readonly string[],
  sent: Set<DescFile>,
): Answer {
  switch (question.case) {
    case "listServices":
      return { case: "listServicesResponse", value: { service: serviceNames.map((name) => ({ name })) } };
    case "fileByFilename":
      return fileAnswer(files.get(question.value), sent);
    case "fileContainingSymbol":
      return fileAnswer(symbols.get(unrooted(question.value)), sent);
    case "fileContainingExtension": {
      const { containingType, extensionNumber } = question.value;
      return fileAnswer(extensions.get(unrooted(containingType))?.get(extensionNumber), sent);
    }
    case "allExtensionNumbersOfType": {
      const baseTypeName = unrooted(question.value);
      if (!symbols.has(baseTypeName)) return notFound();
      const extensionNumber = [...(extensions.get(baseTypeName)?.keys() ?? [])];
      return { case: "allExtensionNumbersResponse", value: { baseTypeName, extensionNumber } };
    }
    default:
      return errorAnswer(Code.InvalidArgument, "the request asks nothing");
  }
}

/** The file and those that it imports, but for those sent before, as grpc-go does. */
function fileAnswer(file: DescFile | undefined, sent: Set<DescFile>): Answer {
  if (file === undefined) return notFound();
  const fileDescriptorProto: Uint8Array<ArrayBuffer>[] = [];
  const add = (each: DescFile): void => {
    if (sent.has(each) && each !== file) return;
    sent.add(each);
    fileDescriptorProto.push(toBinary(FileDescriptorProtoSchema, each.proto));
    for (const imported of each.dependencies) if (!sent.has(imported)) add(imported);
  };
  add(file);
  return { case: "fileDescriptorResponse", value: { fileDescriptorProto } };
}

function notFound(): Answer {
  return errorAnswer(Code.NotFound, "not found");
}

function errorAnswer(errorCode: Code, errorMessage: string): Answer {
  return { case: "errorResponse", value: { errorCode, errorMessage } };
}

function unrooted(symbol: string): string {
  return symbol.startsWith(".") ? symbol.slice(1) : symbol;
}

/** The questions, until the client ends, asks nothing for a minute, or the signal aborts. */
async function* untilSilent<Q>(questions: AsyncIterable<Q>, signal: AbortSignal): AsyncIterable<Q> {
  const incoming = questions[Symbol.asyncIterator]();
  for (;;) {
    const next = await nextOrSilence(incoming, signal);
    if (next === undefined || next.done) return;
    yield next.value;
  }
}

function nextOrSilence<Q>(incoming: AsyncIterator<Q>, signal: AbortSignal): Promise<IteratorResult<Q> | undefined> {
  return new Promise((resolve, reject) => {
    const silence = (): void => {
      end();
      resolve(undefined);
    };
    const timer = setTimeout(silence, questionMsMax);
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", silence);
    };
    signal.addEventListener("abort", silence, { once: true });
    if (signal.aborted) return silence();
    incoming.next().then(
      (next) => {
        end();
        resolve(next);
      },
      (thrown: unknown) => {
        end();
        reject(thrown);
      },
    );
  });
}
