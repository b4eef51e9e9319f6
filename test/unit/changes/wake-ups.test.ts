import { describe, expect, it } from "vitest";
import type { WakeListener } from "../../../services/changes/wake-channel.ts";
import { startWakeUps } from "../../../services/changes/wake-ups.ts";

/** A server with a channel whose sending is under the test's control. */
function server(revision = 5n) {
  const published: string[] = [];
  const sending: { resolve(): void; reject(error: unknown): void }[] = [];
  const logged: string[] = [];
  let wakes = 0;
  let commit: (revision: bigint) => unknown = () => {};
  let channel: WakeListener | undefined;
  startWakeUps(
    (listener) => {
      channel = listener;
      return {
        publish(message) {
          published.push(message);
          return new Promise((resolve, reject) => sending.push({ resolve, reject }));
        },
        close: async () => {},
      };
    },
    "test",
    {
      store: {
        onCommit(listener) {
          commit = listener;
        },
      },
      tail: { wake: () => void wakes++, revision },
      instanceId: "me",
      log: {
        info: (_fields, message) => void logged.push(message),
        warn: (_fields, message) => void logged.push(message),
      },
    },
  );
  if (channel === undefined) throw new Error("not opened");
  return { commit: (n: bigint) => commit(n), channel, published, sending, logged, wakes: () => wakes };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe("wake-ups", () => {
  it("tell of commits without letting them wait, and of many by one", async () => {
    const { commit, published, sending } = server();
    expect(commit(6n)).toBeUndefined();
    commit(7n);
    commit(8n);
    expect(published).toEqual(["me 6"]);
    sending[0]?.resolve();
    await settled();
    expect(published).toEqual(["me 6", "me 8"]);
  });

  it("go on after one that couldn't be told", async () => {
    const { commit, published, sending } = server();
    commit(6n);
    sending[0]?.reject(new Error("gone"));
    await settled();
    commit(7n);
    expect(published).toEqual(["me 6", "me 7"]);
  });

  it("wake for what another server says that is new", () => {
    const { channel, wakes } = server(5n);
    for (const message of ["me 9", "other 5", "other 4", "other", "other x", `other ${"9".repeat(30)}`, ""]) {
      channel.heard(message);
    }
    expect(wakes()).toBe(0);
    channel.heard("other 6");
    expect(wakes()).toBe(1);
  });

  it("wake when the channel works again, since what was said meanwhile is unknown", () => {
    const { channel, wakes, logged } = server();
    channel.connected();
    channel.lost(new Error("gone"));
    channel.connected();
    expect(wakes()).toBe(2);
    expect(logged).toEqual(["wake-ups work", "wake-ups are lost; the log is polled meanwhile", "wake-ups work"]);
  });
});
