import { connect, constants } from "node:http2";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type FakeServer, startFakeServer } from "../support/fake-server.ts";
import { httpText, rawConnection } from "../support/raw-connection.ts";

const hot = "/ichor.v1.AdminService/VerifyCredential";
const other = "/ichor.v1.AdminService/IssueApiKey";
const json = '{"credential":"x"}';

let server: FakeServer;
/** Ends the wait of VerifyCredential while a test holds it. */
let release: (() => void) | undefined;
let held: Promise<void> | undefined;
beforeAll(async () => {
  server = await startFakeServer({
    methods: {
      verifyCredential: async ({ credential }) => {
        await held;
        return { valid: true, tokenId: credential };
      },
    },
  });
});
afterAll(async () => {
  await server.listener.drain(1_000);
});

/** A POST with these lines in the place of its Content-Length. */
function post(path: string, lengthLines: readonly string[], body: string, connection = "close"): string {
  const head = ["Host: a", "Content-Type: application/json", "Authorization: Bearer root", `Connection: ${connection}`];
  return [`POST ${path} HTTP/1.1`, ...head, ...lengthLines, "", body].join("\r\n");
}

function plain(path: string, body = json, connection = "keep-alive"): string {
  return post(path, [`Content-Length: ${body.length}`], body, connection);
}

const statusLines = (text: string) => text.match(/HTTP\/1\.1 \d{3}/g) ?? [];

describe("a request that two readers could end in two places", () => {
  // A second request in the body of the first: whoever believes the other length would run it.
  const hidden = plain(hot, '{"credential":"smuggled"}', "close");
  const chunked = `${hidden.length.toString(16)}\r\n${hidden}\r\n0\r\n\r\n`;

  it.each<[string, readonly string[], string]>([
    ["has two lengths", ["Content-Length: 0", `Content-Length: ${hidden.length}`], hidden],
    ["has a length twice", ["Content-Length: 18", "Content-Length: 18"], json],
    ["has a list of lengths", ["Content-Length: 0, 0"], hidden],
    ["has a length and chunks", ["Content-Length: 4", "Transfer-Encoding: chunked"], chunked],
    ["has chunks and a length", ["Transfer-Encoding: chunked", "Content-Length: 4"], chunked],
    ["has a signed length", ["Content-Length: +18"], json],
    ["has a hexadecimal length", ["Content-Length: 0x12"], json],
    ["has a length that overflows", ["Content-Length: 18446744073709551634"], json],
    ["has a length after a space", ["Content-Length : 18"], json],
    ["has a length on a folded line", ["X: y", " Content-Length: 18"], json],
    ["has an encoding that isn't chunked", ["Transfer-Encoding: xchunked"], chunked],
    ["has an encoding after chunked", ["Transfer-Encoding: chunked, identity"], chunked],
    ["has an encoding behind a control character", ["Transfer-Encoding: \u000bchunked"], chunked],
    ["has a chunk with a signed size", ["Transfer-Encoding: chunked"], `+12\r\n${json}\r\n0\r\n\r\n`],
    ["has a chunk whose size overflows", ["Transfer-Encoding: chunked"], `100000000000000012\r\n${json}\r\n0\r\n\r\n`],
    ["has a chunk that is longer than it says", ["Transfer-Encoding: chunked"], `2\r\n${json}\r\n0\r\n\r\n`],
    ["ends its lines without a carriage return", ["Transfer-Encoding: chunked\nContent-Length: 18"], json],
  ])("is refused, and its connection closed, if it %s", async (_what, lines, body) => {
    for (const path of [hot, other]) {
      const before = server.records.length;
      const answer = await httpText(server.port, post(path, lines, body, "keep-alive"));
      expect(statusLines(answer)).toEqual(["HTTP/1.1 400"]);
      expect(server.records.slice(before).filter(({ failure }) => failure === undefined)).toEqual([]);
    }
  });

  it.each([hot, other, "/livez", "/nowhere"])("is never found in a body that nobody reads: %s", async (path) => {
    const before = server.records.length;
    const connection = await rawConnection(server.port);
    connection.send(post(path, ["Content-Encoding: br", `Content-Length: ${hidden.length}`], hidden, "keep-alive"));
    connection.send(plain(hot, '{"credential":"next"}', "close"));
    const answer = await connection.closed();
    expect(answer).not.toContain("smuggled");
    expect(statusLines(answer).length).toBeLessThanOrEqual(2);
    const good = server.records.slice(before).filter(({ failure }) => failure === undefined);
    expect(good.length).toBeLessThanOrEqual(1);
  });
});

describe("a connection of HTTP/1.1", () => {
  it("gets the answers to pipelined requests in their order, whichever path takes them", async () => {
    const connection = await rawConnection(server.port);
    const names = Array.from({ length: 200 }, (_, i) => `n${i}.`);
    // Every third by connect-node, since its content type is in capitals.
    const requests = names.map((name, i) => {
      const text = plain(hot, `{"credential":"${name}"}`, i === names.length - 1 ? "close" : "keep-alive");
      return i % 3 === 0 ? text.replace("application/json", "APPLICATION/JSON") : text;
    });
    connection.send(requests.join(""));
    const answer = await connection.closed();
    expect(answer.match(/n\d+\./g)).toEqual(names);
  });

  it("isn't read on while its answers aren't read", async () => {
    const connection = await rawConnection(server.port);
    connection.socket.pause();
    const before = server.records.length;
    const flood = plain(hot, `{"credential":"${"x".repeat(4_000)}"}`).repeat(500);
    let refused = false;
    for (let i = 0; i < 40 && !refused; i++) {
      refused = !(await new Promise<boolean>((resolve) => {
        const timer = setTimeout(() => resolve(false), 500);
        connection.socket.write(flood, () => {
          clearTimeout(timer);
          resolve(true);
        });
      }));
    }
    expect(refused).toBe(true);
    expect(server.records.length - before).toBeLessThan(10_000);
    connection.socket.destroy();
  });

  it("is told to go on by who waits for that, and that other expectations can't be met", async () => {
    const connection = await rawConnection(server.port);
    connection.send(plain(hot, json, "close").replace(json, "").replace("Host: a", "Host: a\r\nExpect: 100-continue"));
    await connection.until("HTTP/1.1 100 Continue");
    connection.send(json);
    expect(statusLines(await connection.closed())).toEqual(["HTTP/1.1 100", "HTTP/1.1 200"]);
    const odd = plain(hot, json, "close").replace("Host: a", "Host: a\r\nExpect: miracles");
    expect(statusLines(await httpText(server.port, odd))).toEqual(["HTTP/1.1 417"]);
  });

  it("is closed if its client closes its half, whether a call is under way or not", async () => {
    for (const sent of ["", plain(hot).slice(0, -3)]) {
      const connection = await rawConnection(server.port);
      connection.send(sent);
      connection.socket.end();
      expect(await connection.closed()).not.toContain("200 OK");
    }
    held = new Promise((resolve) => {
      release = resolve;
    });
    const waiting = await rawConnection(server.port);
    waiting.send(plain(hot));
    waiting.socket.end();
    await waiting.closed();
    release?.();
    held = undefined;
    expect(statusLines(await httpText(server.port, plain(hot, json, "close")))).toEqual(["HTTP/1.1 200"]);
  });
});

describe("a connection of HTTP/2", () => {
  it("is ended if it opens streams and resets them for ever (rapid reset, CVE-2023-44487)", async () => {
    const session = connect(server.url);
    const ended = new Promise<number>((resolve) => {
      session.on("goaway", resolve);
      session.on("error", () => resolve(-1));
      session.on("close", () => resolve(-2));
    });
    let over = false;
    void ended.then(() => {
      over = true;
    });
    const before = server.records.length;
    let opened = 0;
    while (!over && opened < 50_000) {
      for (let i = 0; i < 100 && !over; i++) {
        const stream = session.request({ ":method": "POST", ":path": hot, "content-type": "application/json" });
        stream.on("error", () => {});
        stream.close(constants.NGHTTP2_CANCEL);
        opened++;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(await ended).not.toBe(constants.NGHTTP2_NO_ERROR);
    expect(server.records.length - before).toBeLessThan(5_000);
    session.destroy();
    expect(statusLines(await httpText(server.port, plain(hot, json, "close")))).toEqual(["HTTP/1.1 200"]);
  });
});
