import cluster from "node:cluster";
import type { WakeChannel, WakeListener } from "../changes/wake-channel.ts";
import type { LimitDecision } from "../core/rate-limit.ts";
import { familyLimiter, type LimitQuestion } from "./family-limiter.ts";
import type { Family } from "./family-port.ts";
import { type FamilyMessage, familyMessageOf } from "./messages.ts";

/** How long the primary may take to decide, in ms. */
const answerMsMax = 250;

/** This process's side of its primary. */
export interface WorkerFamily extends Family {
  /** Says where calls are taken, and from now on tells the metrics, if there are any, when the primary asks. */
  joined(url: string, metrics: (() => Promise<string>) | undefined): void;
  /** Lets this process end: until then the channel to the primary keeps it. */
  leave(): void;
}

/** The family as one of its workers sees it; undefined unless this process is one. */
export function workerFamily(): WorkerFamily | undefined {
  const { worker } = cluster;
  if (worker === undefined) return undefined;
  const tell = (message: FamilyMessage) => {
    if (worker.isConnected()) worker.send(message);
  };
  return {
    tends: false,
    relay: () => (listener) => wakeChannel(listener, tell),
    limiter: (local) => familyLimiter(asker(tell), local),
    joined: (url, metrics) => {
      process.on("message", (received) => {
        if (familyMessageOf(received)?.ichor !== "measure") return;
        // No answer is an answer: the primary doesn't wait for long.
        metrics?.().then((text) => tell({ ichor: "measured", text }), ignore);
      });
      tell({ ichor: "listening", url });
    },
    leave: () => worker.disconnect(),
  };
}

function wakeChannel(listener: WakeListener, tell: (message: FamilyMessage) => void): WakeChannel {
  const hear = (received: unknown) => {
    const message = familyMessageOf(received);
    if (message?.ichor === "wake") listener.heard(message.message);
    if (message?.ichor === "look") listener.connected();
  };
  process.on("message", hear);
  // By way of the primary, which tells for itself whether other servers can be heard.
  listener.connected();
  return {
    publish: async (message) => tell({ ichor: "wake", message }),
    close: async () => void process.off("message", hear),
  };
}

/** Asks the primary; undefined: it didn't answer in time. */
function asker(
  tell: (message: FamilyMessage) => void,
): (question: LimitQuestion) => Promise<LimitDecision | undefined> {
  const open = new Map<number, (decision?: LimitDecision) => void>();
  let asked = 0;
  process.on("message", (received) => {
    const message = familyMessageOf(received);
    if (message?.ichor === "taken") open.get(message.number)?.(message.decision);
  });
  return (question) =>
    new Promise((resolve) => {
      asked += 1;
      const number = asked;
      const end = (decision?: LimitDecision) => {
        clearTimeout(timer);
        open.delete(number);
        resolve(decision);
      };
      const timer = setTimeout(end, answerMsMax);
      open.set(number, end);
      tell({ ichor: "take", number, question });
    });
}

function ignore(): void {}
