import { connect } from "node:http2";
import { create, toBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, it } from "vitest";
import { WatchKeySetRequestSchema } from "../../gen/ichor/v1/key_set_pb.ts";
import { callJson } from "../support/calls.ts";
import { type ServerProcess, startServer, temporaryFolder } from "../support/server-process.ts";

const folder = temporaryFolder("fast-stream");
let server: ServerProcess;
let stranger: string;
beforeAll(async () => {
  server = await startServer({ dataDir: folder.path });
  const issue = { name: "k", scopes: ["a"] };
  const { body } = await callJson(server.url, "AdminService/IssueApiKey", server.rootCredential, issue);
  stranger = body.credential;
});
afterAll(async () => {
  await server.stop();
  folder.remove();
});

const envelope = (bytes: Uint8Array, flags = 0) => {
  const head = Buffer.alloc(5);
  head[0] = flags;
  head.writeUInt32BE(bytes.length, 1);
  return Buffer.concat([head, bytes]);
};
const message = (audiences: readonly string[]) =>
  toBinary(WatchKeySetRequestSchema, create(WatchKeySetRequestSchema, { audiences: [...audiences] }));

interface Faulty {
  readonly body: Uint8Array;
  readonly credential?: () => string | undefined;
}

const faulty: Readonly<Record<string, Faulty>> = {
  "without a credential": { body: envelope(message([])), credential: () => undefined },
  "of a stranger": { body: envelope(message([])), credential: () => "ichor_sk_nonsense" },
  "without the scope": { body: envelope(message([])), credential: () => stranger },
  "with a bad field": { body: envelope(message(["a b"])) },
  "that is no message": { body: envelope(Buffer.from("ffffffff", "hex")) },
  "that is no message, of a stranger": {
    body: envelope(Buffer.from("ffffffff", "hex")),
    credential: () => "ichor_sk_nonsense",
  },
  "that is cut short": { body: envelope(message(["https://api.example"])).subarray(0, 9) },
  "of two messages": { body: Buffer.concat([envelope(message([])), envelope(message([]))]) },
  "of none": { body: Buffer.alloc(0) },
  "that says it is compressed": { body: envelope(message([]), 1) },
  "that is too large": { body: envelope(Buffer.alloc(2_000_000)) },
};

const protocols = [
  ["gRPC", "application/grpc+proto", { "grpc-timeout": "20S" }],
  ["Connect", "application/connect+proto", { "connect-timeout-ms": "20000" }],
] as const;

it.each(
  protocols.flatMap(([protocol, contentType, left]) =>
    Object.entries(faulty).map(([what, one]) => [protocol, what, contentType, left, one] as const),
  ),
)(
  "over %s a request %s is refused as connect refuses it",
  async (_protocol, _what, contentType, leftToConnect, one) => {
    const [fast, stock] = [await answerTo(contentType, {}, one), await answerTo(contentType, leftToConnect, one)];
    expect(fast).toEqual(stock);
    expect(JSON.stringify(fast)).toMatch(/grpc-status|error/);
  },
);

/** What came back, as far as clients see it: status, error and details. */
async function answerTo(contentType: string, more: Readonly<Record<string, string>>, { body, credential }: Faulty) {
  const presented = credential ? credential() : server.rootCredential;
  const session = connect(server.url);
  const stream = session.request({
    ":method": "POST",
    ":path": "/ichor.v1.DerivationService/WatchKeySet",
    "content-type": contentType,
    ...(contentType.includes("grpc") && { te: "trailers" }),
    ...(presented !== undefined && { authorization: `Bearer ${presented}` }),
    ...more,
  });
  const seen: Record<string, unknown> = {};
  const note = (headers: object) => {
    for (const [name, value] of Object.entries(headers)) {
      if (name === ":status" || name === "content-type" || name.startsWith("grpc-")) seen[name] = value;
    }
  };
  stream
    .on("response", note)
    .on("trailers", note)
    .on("error", () => {});
  const chunks: Buffer[] = [];
  stream.on("data", (chunk) => chunks.push(chunk));
  stream.end(body);
  await new Promise((resolve) => stream.once("close", resolve));
  session.destroy();
  delete seen["grpc-accept-encoding"];
  return { ...seen, body: Buffer.concat(chunks).subarray(5).toString() };
}
