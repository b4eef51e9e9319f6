import { clone } from "@bufbuild/protobuf";
import type { Transport } from "@connectrpc/connect";
import { type WatchKeySetResponse, WatchKeySetResponseSchema } from "../../gen/ichor/v1/key_set_pb.ts";

/** Gives what is handed on in an event's place. */
export type Tamper = (
  event: WatchKeySetResponse,
) => readonly WatchKeySetResponse[] | Promise<readonly WatchKeySetResponse[]>;

export const honestly: Tamper = (event) => [event];

/** Somebody between a verifier and a server, who changes what the stream tells. */
export function tampering(transport: Transport) {
  let tamper = honestly;
  const between: Transport = {
    unary: (...call) => transport.unary(...call),
    async stream(...call) {
      const response = await transport.stream(...call);
      const spoilt = async function* () {
        for await (const message of response.message) {
          if (message.$typeName !== WatchKeySetResponseSchema.typeName) yield message;
          else yield* await tamper(clone(WatchKeySetResponseSchema, message as unknown as WatchKeySetResponse));
        }
      };
      return { ...response, message: spoilt() as typeof response.message };
    },
  };
  return {
    transport: between,
    /** From the next event on. */
    set tamper(next: Tamper) {
      tamper = next;
    },
  };
}
