import {
  create,
  type DescMessage,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
  toJsonString,
} from "@bufbuild/protobuf";

const envelopeBytes = 5;

/**
 * A message of a stream in its envelope, encoded once for all who get it: gRPC, gRPC-Web and Connect streams have the same
 * one, in protobuf or in JSON.
 */
export class Frame {
  readonly message: Message;
  readonly #encode: (json: boolean) => Uint8Array;
  #binary: Uint8Array | undefined;
  #json: Uint8Array | undefined;

  private constructor(message: Message, encode: (json: boolean) => Uint8Array) {
    this.message = message;
    this.#encode = encode;
  }

  static of<D extends DescMessage>(desc: D, init: MessageInitShape<D>): Frame {
    const message = create(desc, init) as MessageShape<D>;
    return new Frame(message, (json) =>
      envelope(json ? Buffer.from(toJsonString(desc, message)) : toBinary(desc, message)),
    );
  }

  get binary(): Uint8Array {
    this.#binary ??= this.#encode(false);
    return this.#binary;
  }

  get json(): Uint8Array {
    this.#json ??= this.#encode(true);
    return this.#json;
  }
}

function envelope(message: Uint8Array): Uint8Array {
  const frame = Buffer.allocUnsafe(envelopeBytes + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  frame.set(message, envelopeBytes);
  return frame;
}
