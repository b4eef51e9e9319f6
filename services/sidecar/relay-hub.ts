import { ResyncReason, type WatchKeySetResponse, WatchKeySetResponseSchema } from "../../gen/ichor/v1/key_set_pb.ts";
import type { Position } from "../core/key-set/feed.ts";
import { Frame } from "../rpc/frame.ts";
import { aheadWaitMsMax, OpenStreams } from "../subscribers/open-streams.ts";
import { StreamTally } from "../subscribers/stream-tally.ts";
import type { Subscriber } from "../subscribers/subscriber.ts";
import type { WatchOrder } from "../subscribers/watch-key-set.ts";
import type { Onward, RecordChanges } from "../verifier/options.ts";
import { audienceFeed, publicFeed } from "../wire/key-set.ts";
import { RelayBook } from "./relay-book.ts";
import { RelayFeed } from "./relay-feed.ts";

export interface RelayHubDeps {
  /** Names of the feeds that are followed here. */
  readonly feeds: readonly string[];
  /** Aborts when the process stops. */
  readonly drain: AbortSignal;
  /** A clock that only goes forward, in ms. */
  readonly monotonicMs: () => number;
  /** Calls back once after so many ms and gives what cancels that. */
  readonly schedule: (callback: () => void, delayMs: number) => () => void;
  /** From 0 to below 1. */
  readonly jitter: () => number;
  /** What may have been told of a feed since its snapshot before a new one is asked for, in bytes; default 4 MiB. */
  readonly sinceBytesLeast?: number;
}

/** Tells those who follow a relay what the relay was told, and says for all of them how far that was applied. */
export class RelayHub implements Onward {
  readonly book: RelayBook;
  readonly tally = new StreamTally();
  readonly #deps: RelayHubDeps;
  readonly #feeds: ReadonlyMap<string, RelayFeed>;
  readonly #streams: OpenStreams;
  readonly #arrivals = new Set<() => void>();
  /** What was told last of the keys that sign feeds. */
  #feedKeys: Frame | undefined;

  constructor(deps: RelayHubDeps) {
    const { monotonicMs, drain, schedule, jitter } = deps;
    this.#deps = deps;
    this.#feeds = new Map(deps.feeds.map((name) => [name, new RelayFeed(name, deps.sinceBytesLeast)]));
    this.#streams = new OpenStreams({ drain, jitter, schedule, onBeat: () => {} });
    this.book = new RelayBook({ monotonicMs });
  }

  get feeds(): readonly string[] {
    return this.#deps.feeds;
  }

  /** Where the feed `public` stands; undefined: nothing of it is here. */
  get position(): Position | undefined {
    return this.#feeds.get(publicFeed)?.position;
  }

  /** Whether every feed that is followed here can be told. */
  get ready(): boolean {
    return [...this.#feeds.values()].every(({ position }) => position !== undefined);
  }

  streamBegins(): void {
    for (const feed of this.#feeds.values()) feed.streamBegins();
  }

  told(message: WatchKeySetResponse): void {
    const { event } = message;
    if (event.case === "feedKeys") {
      this.#feedKeys = Frame.kept(WatchKeySetResponseSchema, message);
      for (const subscriber of this.#streams.all) subscriber.send(this.#feedKeys);
    }
    if (event.case === undefined || !("feed" in event.value)) return;
    const before = this.position?.storeEpoch;
    this.#feeds.get(event.value.feed)?.take(message);
    if (before !== undefined && this.position?.storeEpoch !== before) this.book.beginAnew();
    for (const look of [...this.#arrivals]) look();
  }

  lacks(feed: string): boolean {
    return this.#feeds.get(feed)?.lacksSnapshot === true;
  }

  least(applied: bigint): bigint {
    return this.book.least(applied);
  }

  onRise(acknowledge: () => void): void {
    this.book.onRise(acknowledge);
  }

  /**
   * Checks callers again whose keys changed. One whose key is named goes also if the server can't be asked: whoever keeps it
   * from being asked about a revoked key must not keep its stream.
   */
  changed(changes: RecordChanges): void {
    if (changes.of === "all") this.#streams.recheck(() => true);
    else this.#streams.recheck(({ keyId }) => changes.keyIds.includes(keyId), true);
  }

  /** Brings a stream up to date, from after `subscribed`, and has it follow until it ends. Throws DRAINING. */
  async begin(subscriber: Subscriber, { audiences, resume }: WatchOrder): Promise<void> {
    this.#streams.add(subscriber);
    if (this.#feedKeys !== undefined) subscriber.send(this.#feedKeys);
    await this.#join(subscriber, this.#feed(publicFeed), resume);
    for (const audience of audiences) await this.#joinAnew(subscriber, this.#feed(audienceFeed(audience)));
  }

  async #join(subscriber: Subscriber, feed: RelayFeed, resume: Position | undefined): Promise<void> {
    if (resume === undefined) return this.#joinAnew(subscriber, feed);
    let missed = feed.after(resume);
    if ("resync" in missed && missed.resync === ResyncReason.AHEAD) {
      await this.#arrived(() => (feed.position?.revision ?? 0n) >= resume.revision);
      missed = feed.after(resume);
    }
    if ("resync" in missed) {
      subscriber.resync(feed.name, missed.resync);
      return this.#joinAnew(subscriber, feed);
    }
    const sent = subscriber.sendSnapshot(missed.frames);
    subscriber.follow(feed);
    await sent;
  }

  /** Begins to follow and takes the snapshot in one step, so that nothing is told twice or not at all. */
  async #joinAnew(subscriber: Subscriber, feed: RelayFeed): Promise<void> {
    const sent = subscriber.sendSnapshot(feed.replay());
    subscriber.follow(feed);
    await sent;
  }

  /** Waits until something has come, or for as long as a server waits that lags behind. */
  #arrived(has: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const end = () => {
        this.#arrivals.delete(look);
        cancel();
        resolve();
      };
      const look = () => void (has() && end());
      const cancel = this.#deps.schedule(end, aheadWaitMsMax);
      this.#arrivals.add(look);
    });
  }

  #feed(name: string): RelayFeed {
    const feed = this.#feeds.get(name);
    if (feed === undefined) throw new TypeError(`${name} isn't followed here`);
    return feed;
  }
}
