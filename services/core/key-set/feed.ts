import type { Head } from "../change.ts";
import type { KeySetDelta } from "./key-set-delta.ts";
import type { KeySetState } from "./key-set-state.ts";

/** Where the store's log stands. */
export type Position = Head;

/** What a feed tells its followers, in order. */
export type FeedEvent =
  | {
      readonly kind: "delta";
      /** Up to where the feed was told before. */
      readonly from: Position;
      readonly to: Position;
      readonly delta: KeySetDelta;
      /** Of the state after it. */
      readonly digest: Uint8Array;
    }
  /** The history is another one: all that was told is void. */
  | { readonly kind: "reset" };

/** A key set that is followed: its state as of a revision, and who is told of each change. */
export class Feed {
  readonly state: KeySetState;
  readonly #listeners = new Set<(event: FeedEvent) => void>();
  #position: Position;
  #ended = false;

  constructor(state: KeySetState, position: Position) {
    this.state = state;
    this.#position = position;
  }

  /** What the state is as of: up to where followers were told. */
  get position(): Position {
    return this.#position;
  }

  /** Whether nothing that was told holds any more, and nothing will be told. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Tells every event from now on, until the function that it gives is called. Listeners must not throw. */
  follow(listener: (event: FeedEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Notes that nothing of this feed has changed up to `to`. Whoever calls it tells the followers. */
  advance(to: Position): void {
    if (to.storeEpoch === this.#position.storeEpoch && to.revision > this.#position.revision) this.#position = to;
  }

  /** Ends the feed: nothing that was told holds. */
  reset(): void {
    this.#ended = true;
    this.#tell({ kind: "reset" });
  }

  /** Changes the state and tells it. */
  protected change(delta: KeySetDelta, to: Position): void {
    const from = this.#position;
    this.state.apply(delta);
    this.#position = to;
    this.#tell({ kind: "delta", from, to, delta, digest: this.state.digest });
  }

  #tell(event: FeedEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}
