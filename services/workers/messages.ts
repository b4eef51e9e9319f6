import type { LimitDecision } from "../core/rate-limit.ts";
import type { LimitQuestion } from "./family-limiter.ts";

/** What the processes of one server tell each other over Node's IPC. */
export type FamilyMessage =
  /** A wake-up, as `WakeChannel` publishes it. */
  | { readonly ichor: "wake"; readonly message: string }
  /** What was told before is unknown: look. */
  | { readonly ichor: "look" }
  /** The worker takes calls at this URL. */
  | { readonly ichor: "listening"; readonly url: string }
  /** A worker asks what becomes of a use under limits; the number comes back with the answer. */
  | { readonly ichor: "take"; readonly number: number; readonly question: LimitQuestion }
  | { readonly ichor: "taken"; readonly number: number; readonly decision: LimitDecision }
  /** The primary asks for metrics, in Prometheus' text. */
  | { readonly ichor: "measure" }
  | { readonly ichor: "measured"; readonly text: string };

/** Gives a message of ours; undefined for Node's own and everything else. */
export function familyMessageOf(received: unknown): FamilyMessage | undefined {
  return typeof received === "object" && received !== null && "ichor" in received
    ? (received as FamilyMessage)
    : undefined;
}
