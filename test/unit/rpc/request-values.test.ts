import { create, type DescMessage, fromJsonString, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, it } from "vitest";
import {
  BatchVerifyCredentialsRequestSchema,
  IssueApiKeyRequestSchema,
} from "../../../gen/ichor/v1/admin_service_pb.ts";
import { IchorError } from "../../../services/core/errors.ts";
import { decodeRequest, requestValuesMax } from "../../../services/rpc/request-message.ts";

/** The binary form of JSON in which `__proto_x` stands for the name that no library would write. */
function binaryOf(desc: DescMessage, json: string): Uint8Array {
  const bytes = Buffer.from(toBinary(desc, fromJsonString(desc, json)));
  for (let at = bytes.indexOf("__proto_x"); at >= 0; at = bytes.indexOf("__proto_x")) bytes.write("__proto__", at);
  return bytes;
}

function refusalOf(decode: () => unknown): IchorError | undefined {
  try {
    decode();
    return undefined;
  } catch (error) {
    if (error instanceof IchorError) return error;
    throw error;
  }
}

const issue = IssueApiKeyRequestSchema;
const batch = BatchVerifyCredentialsRequestSchema;

describe("a map's name that decoding would lose", () => {
  const cases: readonly (readonly [desc: DescMessage, json: string, fields: readonly string[]])[] = [
    [issue, '{"labels":{"a":"1","__proto_x":"2"}}', ['labels["__proto__"]']],
    [issue, '{"constraints":{"contextEquals":{"__proto_x":"2"}}}', ['constraints.context_equals["__proto__"]']],
    [issue, '{"constraints":{"context_prefixes":{"__proto_x":"2"}}}', ['constraints.context_prefixes["__proto__"]']],
    [issue, '{"metadata":{"__proto_x":{"a":1}}}', ['metadata["__proto__"]']],
    [issue, '{"metadata":{"a":[0,{"__proto_x":null}]}}', ['metadata["a"][1]["__proto__"]']],
    [
      batch,
      '{"requests":[{"context":{"b":"__proto__"}},{"context":{"__proto_x":""}},{"context":{"__proto_x":"2"}}]}',
      ['requests[1].context["__proto__"]', 'requests[2].context["__proto__"]'],
    ],
  ];

  it.each(cases)("is refused in %s %s, as JSON and as binary", (desc, json, fields) => {
    const texts = ["__proto__", "\\u005f_proto__", "__prot\\u006F__"].map((name) => json.replaceAll("__proto_x", name));
    const refusals = [
      ...texts.map((text) => refusalOf(() => decodeRequest(desc, Buffer.from(text), true))),
      refusalOf(() => decodeRequest(desc, binaryOf(desc, json), false)),
    ];
    for (const refusal of refusals) {
      expect(refusal?.reason).toBe("INVALID_FIELD");
      expect(refusal?.violations.map(({ field }) => field)).toEqual(fields);
    }
  });

  it("may well be a value, and other names of Object.prototype may be names", () => {
    const json = '{"name":"__proto__","labels":{"constructor":"__proto__"},"metadata":{"toString":"\\u005f_proto__"}}';
    for (const [bytes, isJson] of [
      [Buffer.from(json), true],
      [binaryOf(issue, json), false],
    ] as const) {
      expect(decodeRequest(issue, bytes, isJson)).toMatchObject({
        labels: { constructor: "__proto__" },
        metadata: { toString: "__proto__" },
      });
    }
  });
});

describe("a request with very many values", () => {
  const json = (count: number) => Buffer.from(`{"requests":[${"{},".repeat(count - 1)}{}]}`);
  const binary = (count: number) => {
    const writer = new BinaryWriter();
    for (let i = 0; i < count; i++) writer.tag(1, WireType.LengthDelimited).bytes(new Uint8Array(0));
    return writer.finish();
  };

  it("is refused before it is decoded", () => {
    for (const [bytes, isJson] of [
      [json(requestValuesMax), true],
      [binary(requestValuesMax + 1), false],
    ] as const) {
      expect(refusalOf(() => decodeRequest(batch, bytes, isJson))).toMatchObject({
        reason: "REQUEST_TOO_LARGE",
        metadata: { max_values: String(requestValuesMax) },
      });
    }
  });

  it("isn't one because its texts are long, or its messages deep", () => {
    const long = toBinary(issue, create(issue, { name: "n".repeat(requestValuesMax * 2) }));
    expect(refusalOf(() => decodeRequest(issue, long, false))).toBeUndefined();
    let deep = new BinaryWriter().tag(3, WireType.LengthDelimited).string("v".repeat(requestValuesMax)).finish();
    // A Value that holds a list that holds a Value, and so on.
    for (let depth = 0; depth < 100; depth++) {
      for (const field of [1, 6]) deep = new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(deep).finish();
    }
    const entry = new BinaryWriter().tag(2, WireType.LengthDelimited).bytes(deep).finish();
    const metadata = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(entry).finish();
    const field = issue.field.metadata.number;
    const request = new BinaryWriter().tag(field, WireType.LengthDelimited).bytes(metadata).finish();
    expect(refusalOf(() => decodeRequest(issue, request, false))?.reason).toBe("INVALID_FIELD");
  });
});
