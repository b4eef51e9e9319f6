import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { RevisionWaiters } from "../../../services/changes/revision-waiters.ts";
import { awaitRevision } from "../../../services/verification/await-revision.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function waiting() {
  const waiters = new RevisionWaiters();
  const client = new AbortController();
  const freshness = {
    revision: 1n,
    reached: (revision: bigint, signal: AbortSignal) => waiters.wait(revision, signal),
  };
  const wait = awaitRevision(freshness, 2n, { signal: client.signal, remainingMs: () => 1_000 });
  return {
    waiters,
    client,
    outcome: wait.then(
      () => "reached",
      (error) => error.reason,
    ),
  };
}

it("resolves when the revision is reached, and leaves no timer", async () => {
  const { waiters, outcome } = waiting();
  waiters.release(2n);
  expect(await outcome).toBe("reached");
  expect(vi.getTimerCount()).toBe(0);
});

it("gives up before the deadline", async () => {
  const { outcome } = waiting();
  vi.advanceTimersByTime(800);
  expect(await outcome).toBe("REVISION_NOT_REACHED");
});

it("ends with its client, and leaves no timer", async () => {
  const { client, outcome } = waiting();
  client.abort(new Error("gone"));
  expect(await outcome).toBe("REVISION_NOT_REACHED");
  expect(vi.getTimerCount()).toBe(0);
});
