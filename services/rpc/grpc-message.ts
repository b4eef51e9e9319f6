import type { ConnectError } from "@connectrpc/connect";
import type { UniversalHandlerFn, UniversalServerResponse } from "@connectrpc/connect/protocol";
import { setTrailerStatus } from "@connectrpc/connect/protocol-grpc";

/**
 * Makes a handler encode the messages of gRPC errors as the protocol says: percent-encoded is what isn't between space
 * and `~`, and `%` itself. connect encodes more, which is allowed, but @grpc/grpc-js then shows `no such key%3A`.
 */
export function plainGrpcMessages(handle: UniversalHandlerFn): UniversalHandlerFn {
  return async (request) => withPlainMessage(await handle(request));
}

/** Percent-encodes the UTF-8 of a message for the trailer `grpc-message`. */
export function encodeGrpcMessage(message: string): string {
  return message.replace(/[^ -$&-~]+/gu, (text) =>
    Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`).join(""),
  );
}

/** What gRPC says of a failed call: status, message and details, by the names of its trailers in alphabetical order. */
export function grpcStatusOf(error: ConnectError): Record<string, string> {
  const trailer = setTrailerStatus(new Headers(), error);
  recode(trailer);
  return Object.fromEntries(trailer);
}

function withPlainMessage(answer: UniversalServerResponse): UniversalServerResponse {
  const { body, trailer } = answer;
  return body && trailer ? { ...answer, body: followedBy(body, () => recode(trailer)) } : answer;
}

/** connect writes the trailer when the body has ended, and the transport reads it after that. */
async function* followedBy(body: AsyncIterable<Uint8Array>, then: () => void): AsyncIterable<Uint8Array> {
  yield* body;
  then();
}

function recode(trailer: Headers): void {
  const message = trailer.get("grpc-message");
  if (message) trailer.set("grpc-message", encodeGrpcMessage(decodeURIComponent(message)));
}
