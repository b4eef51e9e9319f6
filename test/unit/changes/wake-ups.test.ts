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
  let want: (revision: bigint) => void = () => {};
  let looks = 0;
  const reached: bigint[] = [];
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
      tail: { wake: () => void wakes++, revision, reached: async (wanted) => void reached.push(wanted) },
      ledger: {
        onWant(listener) {
          want = listener;
        },
        look: () => void looks++,
      },
      instanceId: "me",
      log: {
        info: (_fields, message) => void logged.push(message),
        warn: (_fields, message) => void logged.push(message),
      },
    },
  );
  if (channel === undefined) throw new Error("not opened");
  return {
    ...{ channel, published, sending, logged, reached },
    commit: (n: bigint) => commit(n),
    want: (n: bigint) => want(n),
    wakes: () => wakes,
    looks: () => looks,
  };
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

  it("ask other servers for what this one waits for, and tell at once what another asks for, once it is reached", async () => {
    const { want, published, sending, channel, reached, looks, wakes } = server();
    want(7n);
    expect(published).toEqual(["me 7 wanted"]);
    sending[0]?.reject(new Error("gone"));
    channel.heard("me 7 wanted");
    channel.heard("other x wanted");
    await settled();
    expect([reached, looks()]).toEqual([[], 0]);
    channel.heard("other 9 wanted");
    await settled();
    expect([reached, looks(), wakes()]).toEqual([[9n], 1, 0]);
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
