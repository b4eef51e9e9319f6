import { describe, expect, it } from "vitest";
import { encodeGrpcMessage } from "../../../services/rpc/grpc-message.ts";

describe("encodeGrpcMessage", () => {
  it.each([
    ["no such key: key_1, in /a?b#c", "no such key: key_1, in /a?b#c"],
    ["100 % & ~", "100 %25 & ~"],
    ["a\nb\u0000", "a%0Ab%00"],
    ["Schlüssel 🔑", "Schl%C3%BCssel %F0%9F%94%91"],
    ["\ud800", "%EF%BF%BD"],
  ])("encodes %j as %j", (message, encoded) => {
    expect(encodeGrpcMessage(message)).toBe(encoded);
    expect(decodeURIComponent(encoded)).toBe(message === "\ud800" ? "\ufffd" : message);
  });
});
