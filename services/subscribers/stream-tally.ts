import { ResyncReason } from "../../gen/ichor/v1/key_set_pb.ts";

/** What this process did on key-set streams so far, for metrics. */
export class StreamTally {
  /** Messages that were written to streams. */
  messages = 0;
  readonly #resyncs = new Map<string, number>(reasonNames.map((name) => [name, 0]));

  /** A subscriber had to begin anew. */
  resync(reason: ResyncReason): void {
    const name = reasonNames.find((each) => ResyncReason[each] === reason) ?? "UNSPECIFIED";
    this.#resyncs.set(name, (this.#resyncs.get(name) ?? 0) + 1);
  }

  /** How often that was, by the reason's name. */
  get resyncs(): ReadonlyMap<string, number> {
    return this.#resyncs;
  }
}

const reasonNames = (Object.keys(ResyncReason) as (keyof typeof ResyncReason)[]).filter(
  (name) => name !== "UNSPECIFIED",
);
