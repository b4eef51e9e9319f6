import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { describe, expect, it } from "vitest";
import { sniffProtocol } from "../../../services/http/protocol-sniffer.ts";

/** A socket whose peer is the test. */
class FakeSocket extends Duplex {
  timeoutMs = 0;
  override _read(): void {}
  setTimeout(ms: number): this {
    this.timeoutMs = ms;
    return this;
  }
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/** Sends the chunks one by one; gives what was decided and what the next reader then gets. */
async function sniff(...chunks: string[]) {
  const socket = new FakeSocket();
  let decided: string | undefined;
  sniffProtocol(socket as unknown as Socket, 3_000, (protocol) => {
    decided = protocol;
  });
  const timeoutMs = socket.timeoutMs;
  for (const chunk of chunks) {
    socket.push(chunk);
    await new Promise(setImmediate);
  }
  const rest = decided === undefined ? undefined : String(socket.read());
  return { decided, rest, timeoutMs, socket };
}

describe("sniffProtocol", () => {
  it.each([
    ["h2", [preface]],
    ["h2", [`${preface}more`]],
    ["h2", ["P", "R", "I", " * HTTP/2.0"]],
    ["h1", ["GET / HTTP/1.1\r\n\r\n"]],
    ["h1", ["POST / HTTP/1.1\r\n\r\n"]],
    ["h1", ["P", "O", "ST / HTTP/1.1"]],
    ["h1", ["PR", "OPFIND / HTTP/1.1"]],
    ["h1", ["\u0016\u0003\u0001"]],
  ])("takes for %s and loses no byte: %j", async (protocol, chunks) => {
    const { decided, rest, socket } = await sniff(...chunks);
    expect(decided).toBe(protocol);
    expect(rest).toBe(chunks.join(""));
    expect(socket.timeoutMs).toBe(0);
    expect(socket.eventNames().filter((name) => name === "data" || name === "timeout")).toEqual([]);
  });

  it.each([[[]], [["P"]], [["PR"]]])("waits after %j, for as long as it may", async (chunks) => {
    const { decided, timeoutMs, socket } = await sniff(...chunks);
    expect(decided).toBeUndefined();
    expect(timeoutMs).toBe(3_000);
    socket.emit("timeout");
    expect(socket.destroyed).toBe(true);
  });

  it("forgets a connection that ends or fails before it has spoken", async () => {
    const ended = await sniff("P");
    ended.socket.push(null);
    await new Promise(setImmediate);
    expect(ended.socket.destroyed).toBe(true);
    const failed = await sniff();
    failed.socket.destroy(new Error("reset"));
    await new Promise(setImmediate);
    expect(failed.decided).toBeUndefined();
  });
});
