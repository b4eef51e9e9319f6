import {
  create,
  type DescMessage,
  fromBinary,
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
  readonly #read: () => Message;
  readonly #encode: (json: boolean) => Uint8Array;
  #binary: Uint8Array | undefined;
  #json: Uint8Array | undefined;

  private constructor(read: () => Message, encode: (json: boolean) => Uint8Array) {
    this.#read = read;
    this.#encode = encode;
  }

  static of<D extends DescMessage>(desc: D, init: MessageInitShape<D>): Frame {
    const message = create(desc, init) as MessageShape<D>;
    return new Frame(
      () => message,
      (json) => envelope(json ? Buffer.from(toJsonString(desc, message)) : toBinary(desc, message)),
    );
  }

  /** A message that is kept for long: as bytes alone, which most get it as. */
  static kept<D extends DescMessage>(desc: D, message: MessageShape<D>): Frame {
    const binary = envelope(toBinary(desc, message));
    const read = () => fromBinary(desc, binary.subarray(envelopeBytes)) as MessageShape<D>;
    return new Frame(read, (json) => (json ? envelope(Buffer.from(toJsonString(desc, read()))) : binary));
  }

  get message(): Message {
    return this.#read();
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
