import { brotliCompressSync, gzipSync } from "node:zlib";
import { create, fromJsonString, toBinary } from "@bufbuild/protobuf";
import { VerifyCredentialRequestSchema } from "../../gen/ichor/v1/verification_pb.ts";
import type { WireRequest } from "./wire-requests.ts";

export interface UnaryCase {
  readonly name: string;
  readonly version: "HTTP/1.1" | "HTTP/2";
  readonly request: WireRequest;
}

export type Headers = Readonly<Record<string, string | readonly string[] | undefined>>;

/** One way to send a call: what protocol and encoding it has. */
interface Dialect {
  readonly contentType: string;
  readonly enveloped: boolean;
  readonly json: boolean;
  readonly encodingHeader: string;
  readonly acceptHeader: string;
  readonly timeoutHeader: string;
}

const connect = {
  enveloped: false,
  encodingHeader: "content-encoding",
  acceptHeader: "accept-encoding",
  timeoutHeader: "connect-timeout-ms",
};
const grpc = {
  enveloped: true,
  encodingHeader: "grpc-encoding",
  acceptHeader: "grpc-accept-encoding",
  timeoutHeader: "grpc-timeout",
};

const overBoth: readonly Dialect[] = [
  { contentType: "application/json", json: true, ...connect },
  { contentType: "application/proto", json: false, ...connect },
  { contentType: "application/grpc-web+proto", json: false, ...grpc },
  { contentType: "application/grpc-web+json", json: true, ...grpc },
];
const overHttp2: readonly Dialect[] = [
  ...overBoth,
  { contentType: "application/grpc", json: false, ...grpc },
  { contentType: "application/grpc+json", json: true, ...grpc },
];

export const verifyPath = "/ichor.v1.AdminService/VerifyCredential";
const limit = 1024 * 1024;

/** Every case, in a fixed order. */
export function unaryCases(): UnaryCase[] {
  const http1 = overBoth.flatMap((dialect) => casesOf("HTTP/1.1", dialect));
  const http2 = overHttp2.flatMap((dialect) => casesOf("HTTP/2", dialect));
  return [...http1, ...http2];
}

function casesOf(version: UnaryCase["version"], dialect: Dialect): UnaryCase[] {
  const { contentType, enveloped, json, encodingHeader, acceptHeader, timeoutHeader } = dialect;
  const isGrpc = enveloped;
  const wrap = (message: Buffer, flags = 0) => (enveloped ? envelope(message, flags) : message);
  const encoded = (text: string) => (json ? Buffer.from(text) : binaryOf(text));
  const plain = encoded('{"credential":"some"}');
  const one = (name: string, body: Buffer, headers: Headers = {}, changes: Partial<WireRequest> = {}): UnaryCase => ({
    name: `${version} ${contentType}: ${name}`,
    version,
    request: {
      method: "POST",
      path: verifyPath,
      headers: pairs({
        "content-type": contentType,
        authorization: "Bearer root",
        ...(isGrpc && { te: "trailers" }),
        ...headers,
      }),
      body,
      ...changes,
    },
  });
  const timeout = (text: string) => ({ [timeoutHeader]: text });
  const well = wrap(plain);

  return [
    ...Object.entries(messages).map(([name, text]) => one(name, wrap(encoded(text)))),
    ...Object.entries(json ? brokenJson : brokenBinary).map(([name, bytes]) => one(name, wrap(bytes))),
    ...Object.entries(faults).map(([name, credential]) => one(name, wrap(encoded(JSON.stringify({ credential }))))),
    ...Object.entries(callerHeaders).map(([name, headers]) => one(name, well, headers)),
    ...Object.entries(contentTypes).map(([name, type]) => one(name, well, { "content-type": type })),
    ...["GET", "PUT", "OPTIONS", "DELETE", "HEAD"].map((method) =>
      one(`method ${method}`, Buffer.alloc(0), {}, { method }),
    ),
    ...["?a=b", "/", "X"].map((suffix) => one(`path with ${suffix}`, well, {}, { path: verifyPath + suffix })),
    ...["5000", "0", "abc", "-1", "99999999999", "5000 ", ""].map((ms) =>
      one(`timeout “${ms}”`, well, timeout(isGrpc ? `${ms}m` : ms)),
    ),
    ...(isGrpc
      ? ["1H", "1S", "0u", "0n", "5", "S", "123456789S"].map((text) => one(`timeout ${text}`, well, timeout(text)))
      : []),
    one("compressed by gzip", wrap(gzipSync(plain), 1), { [encodingHeader]: "gzip" }),
    one("compressed by brotli", wrap(brotliCompressSync(plain), 1), { [encodingHeader]: "br" }),
    one("said to be compressed, but isn't", wrap(plain, 1), { [encodingHeader]: "gzip" }),
    one("an unknown compression", wrap(plain, 1), { [encodingHeader]: "zz" }),
    one("identity as compression", well, { [encodingHeader]: "identity" }),
    one("a small answer may be compressed", well, { [acceptHeader]: "gzip, br" }),
    one("a large answer may be compressed", wrap(encoded('{"credential":"large"}')), { [acceptHeader]: "gzip" }),
    one("a large answer", wrap(encoded('{"credential":"large"}'))),
    one("too large", wrap(Buffer.alloc(limit + 1, 0x20))),
    one(
      "as large as allowed",
      wrap(json ? Buffer.from(`{"credential":"x"${" ".repeat(limit - 18)}}`) : binaryOfSize(limit)),
    ),
    one("more than is allowed once decompressed", wrap(gzipSync(Buffer.alloc(limit + 1, 0x20)), 1), {
      [encodingHeader]: "gzip",
    }),
    one("no body", Buffer.alloc(0)),
    one("cut short in the body", well, {}, { goAwayAfter: 7 }),
    one("gone before the body", well, {}, { goAwayAfter: 0 }),
    ...(isGrpc ? envelopes(plain).map(([name, body]) => one(name, body)) : []),
  ];
}

function envelopes(message: Buffer): [string, Buffer][] {
  const whole = envelope(message, 0);
  return [
    ["two messages", Buffer.concat([whole, whole])],
    ["an envelope and a half", Buffer.concat([whole, whole.subarray(0, 3)])],
    ["half an envelope", whole.subarray(0, 3)],
    ["a truncated message", whole.subarray(0, whole.length - 1)],
    ["marked as compressed without an encoding", envelope(message, 1)],
    ["marked as trailers", envelope(message, 0x80)],
    ["marked as the end of a stream", envelope(message, 2)],
    ["a length beyond the limit", Buffer.concat([Buffer.from([0, 0xff, 0xff, 0xff, 0xff]), message])],
    ["an empty message", envelope(Buffer.alloc(0), 0)],
  ];
}

/** Good protobuf JSON; sent as binary where the dialect says so. */
const messages = {
  "a plain call": '{"credential":"some"}',
  "every field": JSON.stringify({
    credential: "some",
    requiredScopes: ["a:b", "c"],
    audience: "https://api.example",
    clientIp: "192.0.2.1",
    context: { path: "/x", "user.agent": "µ 😀" },
    cost: "1",
    minRevision: "12",
    noCache: true,
  }),
  "snake case, numbers for strings, null":
    '{"credential":"some","min_revision":3,"required_scopes":["a"],"audience":null}',
  spaces: ' \r\n\t{ "credential" : "some" } \n',
  "an escaped name and escapes": '{"\\u0063redential":"\\ud83d\\ude00 \\"quoted\\" \\\\ \\/"}',
  "a large number": '{"credential":"some","minRevision":"9223372036854775807"}',
  "a number with exponent": '{"credential":"some","minRevision":1e3}',
  "an empty object": "{}",
};

const brokenJson = Object.fromEntries(
  Object.entries({
    "a byte order mark": '\ufeff{"credential":"some"}',
    "duplicate keys": '{"credential":"a","credential":"b"}',
    "duplicate keys, one escaped": '{"credential":"a","\\u0063redential":"b"}',
    "duplicate keys of a map": '{"credential":"a","context":{"x":"1","x":"2"}}',
    "two names of one field": '{"credential":"a","minRevision":"1","min_revision":"2"}',
    "an unknown field": '{"credential":"a","requiredScope":["x"]}',
    "an unknown field in a map's place": '{"credential":"a","context":[]}',
    "a wrong type": '{"credential":7}',
    "a wrong type in a list": '{"credential":"a","requiredScopes":["x",null]}',
    "a fraction for an integer": '{"credential":"a","minRevision":1.5}',
    "a number out of range": '{"credential":"a","minRevision":"9223372036854775808"}',
    "text for an integer": '{"credential":"a","minRevision":"many"}',
    "an integer with spaces": '{"credential":"a","minRevision":" 1"}',
    "text for a boolean": '{"credential":"a","noCache":"true"}',
    "truncated JSON": '{"credential":"some"',
    "no JSON": "credential=some",
    "a list": "[]",
    null: "null",
    "a string": '"some"',
    "more after the end": '{"credential":"some"} x',
    "a trailing comma": '{"credential":"some",}',
    "a comment": '{/* */"credential":"some"}',
    "single quotes": "{'credential':'some'}",
    "a control character": '{"credential":"so\u0001me"}',
    "a lone surrogate, escaped": '{"credential":"\\ud800"}',
    prototype: '{"credential":"a","__proto__":{"audience":"x"}}',
    "prototype in a map": '{"credential":"a","context":{"__proto__":"x","constructor":"y"}}',
    "deep nesting": `${'{"context":'.repeat(2_000)}1${"}".repeat(2_000)}`,
  }).map(([name, text]): [string, Buffer] => [name, Buffer.from(text)]),
);
Object.assign(brokenJson, {
  "invalid UTF-8": Buffer.from([...Buffer.from('{"credential":"'), 0xff, 0xfe, ...Buffer.from('"}')]),
});

const brokenBinary = {
  "a truncated field": Buffer.from([0x0a, 0x10, 0x61]),
  "a wrong wire type": Buffer.from([0x08, 0x01]),
  "an unknown field number": Buffer.from([0xfa, 0x07, 0x01, 0x61]),
  "field number zero": Buffer.from([0x02, 0x00]),
  "a varint without end": Buffer.from([0x40, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
  "invalid UTF-8": Buffer.from([0x0a, 0x02, 0xff, 0xfe]),
  "a group": Buffer.from([0x0b, 0x0c]),
  "a field twice": Buffer.from([0x0a, 0x01, 0x61, 0x0a, 0x01, 0x62]),
  "text instead of protobuf": Buffer.from('{"credential":"some"}'),
};

/** What the fake method does with these credentials. */
const faults = {
  "a refusal with metadata": "not-found",
  "field violations": "violations",
  "an unavailable store": "unavailable",
  "a bug": "bug",
};

const callerHeaders: Readonly<Record<string, Headers>> = {
  "no credential": { authorization: undefined },
  "another scheme": { authorization: "Basic cm9vdDpyb290" },
  "the scheme in capitals": { authorization: "BEARER root" },
  "an empty credential": { authorization: "Bearer " },
  "an unknown credential": { authorization: "Bearer nobody" },
  "a credential that is too long": { authorization: `Bearer ${"x".repeat(9_000)}` },
  "a caller without the scope": { authorization: "Bearer reader" },
  "acting for another tenant": { "ichor-tenant": "other" },
  "acting for no tenant": { "ichor-tenant": "none" },
  "a tenant that may not act for others": { authorization: "Bearer other-root", "ichor-tenant": "other" },
  metadata: { "x-request-id": "1", "trace-bin": "AAEC", "user-agent": "test/1" },
  "a protocol version": { "connect-protocol-version": "1" },
  "another protocol version": { "connect-protocol-version": "2" },
  "from a browser": { origin: "https://app.example", "x-grpc-web": "1" },
  "headers beyond the limit": { "x-much": "x".repeat(17_000) },
};

const contentTypes: Readonly<Record<string, string | undefined>> = {
  "capitals in the content type": "Application/JSON",
  "a charset": "application/json; charset=utf-8",
  "a charset without space": "application/json;charset=utf-8",
  "another charset": "application/json; charset=latin1",
  "gRPC-Web as text": "application/grpc-web-text",
  "a stream of Connect": "application/connect+json",
  "a form": "application/x-www-form-urlencoded",
  "an empty content type": "",
  "no content type": undefined,
  "plain gRPC": "application/grpc",
};

function pairs(headers: Headers): (readonly [string, string])[] {
  return Object.entries(headers).flatMap(([name, value]) =>
    value === undefined ? [] : [value].flat().map((text) => [name, String(text)] as const),
  );
}

function envelope(message: Buffer, flags: number): Buffer {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

function binaryOf(json: string): Buffer {
  return Buffer.from(toBinary(VerifyCredentialRequestSchema, fromJsonString(VerifyCredentialRequestSchema, json)));
}

function binaryOfSize(size: number): Buffer {
  const message = create(VerifyCredentialRequestSchema, { credential: "x".repeat(size - 4) });
  return Buffer.from(toBinary(VerifyCredentialRequestSchema, message));
}
