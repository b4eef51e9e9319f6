import { describe, expect, it } from "vitest";
import { isoTimeOf, LogLines } from "../../../services/cli/log-lines.ts";

function written() {
  const writes: string[] = [];
  return { writes, lines: new LogLines({ write: (text: string | Uint8Array) => writes.push(String(text)) > 0 }) };
}

describe("LogLines", () => {
  it("writes the lines of a turn together, in order, when the turn ends", async () => {
    const { writes, lines } = written();
    for (const line of ["a\n", "b\n", "c\n"]) lines.write(line);
    expect(writes).toEqual([]);
    await new Promise((resolve) => setImmediate(resolve));
    lines.write("d\n");
    await new Promise((resolve) => setImmediate(resolve));
    expect(writes).toEqual(["a\nb\nc\n", "d\n"]);
  });

  it("gathers a bounded number of characters, and nothing twice", () => {
    const { writes, lines } = written();
    for (let i = 0; i < 100; i++) lines.write(`${"x".repeat(1_000)}\n`);
    lines.flush();
    lines.flush();
    expect(Math.max(...writes.map((text) => text.length))).toBeLessThan(70_000);
    expect(writes.join("").length).toBe(100 * 1_001);
  });
});

describe("the time of a line", () => {
  it("is that of its millisecond", () => {
    let nowMs = 1_800_000_000_000;
    const time = isoTimeOf(() => nowMs);
    expect([time(), time()]).toEqual(Array(2).fill(',"time":"2027-01-15T08:00:00.000Z"'));
    nowMs += 1;
    expect(time()).toBe(',"time":"2027-01-15T08:00:00.001Z"');
  });
});
