import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { sizeDelimitedPeek } from "@bufbuild/protobuf/wire";

const varintBytesMax = 10;

/** Gives the messages that stand one after the other, each with its length as a varint before it. Throws if they don't. */
export function* readSizeDelimited<D extends DescMessage>(desc: D, bytes: Uint8Array): Generator<MessageShape<D>> {
  for (let at = 0; at < bytes.length; ) {
    const { size, offset } = sizeDelimitedPeek(bytes.subarray(at, at + varintBytesMax));
    if (size === null || size > bytes.length - at - offset) throw new TypeError("the last message is cut off");
    at += offset + size;
    yield fromBinary(desc, bytes.subarray(at - size, at));
  }
}
