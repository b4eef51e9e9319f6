import { ResyncReason } from "../../gen/ichor/v1/key_set_pb.ts";
import type { KeySetFeeds, PublicFeed, Replay } from "../changes/key-set-feeds.ts";
import type { Tail, TailEvent } from "../changes/tail.ts";
import { mayEndCaller } from "../core/caller-end.ts";
import { IchorError } from "../core/errors.ts";
import type { TenantId } from "../core/ids.ts";
import type { Feed, Position } from "../core/key-set/feed.ts";
import { feedStatementBytes } from "../core/key-set/feed-statement.ts";
import { issuerOf, type Tenant } from "../core/tenant.ts";
import type { FeedKeys } from "../keyring/feed-keys.ts";
import type { Keyring } from "../keyring/keyring.ts";
import type { Frame } from "../rpc/frame.ts";
import { eventFrame } from "../subscribers/event-frame.ts";
import { aheadWaitMsMax, OpenStreams } from "../subscribers/open-streams.ts";
import { StreamTally } from "../subscribers/stream-tally.ts";
import type { Subscriber } from "../subscribers/subscriber.ts";
import type { WatchOrder } from "../subscribers/watch-key-set.ts";
import { audienceFeed, feedKeysToProto, publicFeed } from "../wire/key-set.ts";
import { AudienceFeed } from "./audience-feed.ts";
import { FeedChannel, type SignEvent } from "./feed-channel.ts";

export interface HubDeps {
  readonly feeds: KeySetFeeds;
  readonly tail: Pick<Tail, "position" | "asOfMs" | "subscribe" | "reached" | "revision">;
  readonly keyring: Pick<Keyring, "forTenant">;
  readonly feedKeys: FeedKeys;
  /** Base URL of the issuer. */
  readonly issuer: () => string;
  /** Ms since the epoch. */
  readonly now: () => number;
  /** From 0 to below 1. */
  readonly jitter: () => number;
  /** Calls back once after so many ms and gives what cancels that. */
  readonly schedule: (callback: () => void, delayMs: number) => () => void;
  /** Aborts when the server stops. */
  readonly drain: AbortSignal;
  /** Whether acknowledgements are wanted now, since someone waits for them. */
  readonly ackWanted: () => boolean;
  readonly log: { error(fields: object, message: string): void };
}

/** A place in the log, and when the last read of it began that found no gap, ms since the epoch. */
export interface Moment {
  readonly position: Position;
  readonly asOfMs: number;
}

/** Connects subscribers with feeds, and tells them by the clock how fresh these are. */
export class KeySetHub {
  readonly #deps: HubDeps;
  readonly #public = new Map<TenantId, FeedChannel<PublicFeed>>();
  readonly #audiences = new Map<
    string,
    { readonly channel: FeedChannel<AudienceFeed>; readonly loaded: Promise<void> }
  >();
  readonly #streams: OpenStreams;
  readonly tally = new StreamTally();
  #toldKeys: { readonly keys: FeedKeys["told"]; readonly frame: Frame } | undefined;

  constructor(deps: HubDeps) {
    this.#deps = deps;
    deps.tail.subscribe((event) => this.#take(event));
    const { drain, jitter, schedule } = deps;
    this.#streams = new OpenStreams({ drain, jitter, schedule, onBeat: () => this.heartbeat() });
    deps.feedKeys.onChanged(() => {
      for (const subscriber of this.#streams.all) subscriber.send(this.#feedKeysFrame());
    });
  }

  get subscribers(): ReadonlySet<Subscriber> {
    return this.#streams.all;
  }

  /** Brings a stream up to date, from after `subscribed`, and has it follow until it ends. */
  async begin(subscriber: Subscriber, order: WatchOrder): Promise<void> {
    this.#streams.add(subscriber);
    subscriber.send(this.#feedKeysFrame());
    const channel = await this.#publicChannel(order.tenantId, subscriber);
    await this.#joinPublic(subscriber, channel, order.resume);
    for (const audience of order.audiences) {
      await this.#joinAnew(subscriber, await this.#audienceChannel(channel.feed.tenant, audience, subscriber));
    }
  }

  /**
   * Calls `use` with a tenant's public feed, without following it, and with what it is as of. Throws TENANT_NOT_FOUND;
   * rejects with STORE_UNAVAILABLE.
   */
  look<T>(tenantId: TenantId, use: (feed: PublicFeed, at: Moment) => T): Promise<T> {
    const { feeds } = this.#deps;
    return feeds.open(tenantId, (feed) => {
      if (feed === undefined) throw new IchorError("TENANT_NOT_FOUND", "no such tenant");
      try {
        const at = this.now;
        // What the tail told since the feed's last change has nothing of it.
        return use(feed, feed.position.revision > at.position.revision ? { ...at, position: feed.position } : at);
      } finally {
        if (this.#public.get(tenantId)?.feed !== feed) feeds.drop(feed);
      }
    });
  }

  /**
   * Gives a tenant's public feed as it is now, signed, with what tells whose it is: all that a stream of it begins with. Made
   * when it is read. Rejects as `look`.
   */
  signedSnapshot(tenantId: TenantId): Promise<Iterable<Frame>> {
    return this.look(tenantId, (feed, at) => {
      const followed = this.#public.get(tenantId);
      const isFollowed = followed?.feed === feed;
      const channel = isFollowed ? followed : this.#channelOf(publicFeed, feed, feed.tenant);
      if (!isFollowed) feed.advance(at.position);
      const value = { tenantId, issuer: issuerOf(this.#deps.issuer(), feed.tenant) };
      const keys = () => this.#feedKeysFrame();
      const frames = wholeKeySet(eventFrame({ case: "subscribed", value }), keys, channel.snapshot());
      if (!isFollowed) channel.close();
      return frames;
    });
  }

  /** How far the log is known here, and as of when. */
  get now(): Moment {
    const { tail } = this.#deps;
    return { position: tail.position, asOfMs: tail.asOfMs };
  }

  /** Tells every channel how fresh it is, now. */
  heartbeat(): void {
    const { tail, ackWanted } = this.#deps;
    const wanted = ackWanted();
    const channels = [...this.#public.values(), ...[...this.#audiences.values()].map(({ channel }) => channel)];
    for (const channel of channels) channel.heartbeat(tail.position, wanted);
  }

  async #joinPublic(
    subscriber: Subscriber,
    channel: FeedChannel<PublicFeed>,
    resume: Position | undefined,
  ): Promise<void> {
    const { tail, feeds } = this.#deps;
    if (resume === undefined) return this.#joinAnew(subscriber, channel);
    if (resume.revision > tail.revision && resume.storeEpoch === tail.position.storeEpoch) await this.#catchUp(resume);
    let replayed: Replay = { resync: "ahead" };
    await feeds.join(channel.feed, resume, (replay) => {
      replayed = replay;
      if (!("delta" in replay)) return;
      for (const frame of channel.catchUp(resume, replay.delta)) subscriber.send(frame);
      subscriber.follow(channel);
    });
    if ("delta" in replayed) return;
    const reason = resyncReasons[(replayed as Exclude<Replay, { delta: unknown }>).resync];
    subscriber.resync(channel.name, reason);
    return this.#joinAnew(subscriber, channel);
  }

  /** Begins to follow and takes the snapshot in one step, so that nothing is told twice or not at all. */
  async #joinAnew(subscriber: Subscriber, channel: FeedChannel): Promise<void> {
    if (channel.feed.ended) return subscriber.reset();
    const sent = subscriber.sendSnapshot(channel.snapshot());
    subscriber.follow(channel);
    await sent;
  }

  /** Waits for a revision that another server has told, and brings every channel there. */
  async #catchUp({ revision }: Position): Promise<void> {
    const { tail, schedule } = this.#deps;
    const late = new AbortController();
    const cancel = schedule(() => late.abort(new Error("this server lags behind")), aheadWaitMsMax);
    try {
      await tail.reached(revision, late.signal);
      this.heartbeat();
    } catch (error) {
      if (!late.signal.aborted) throw error;
    } finally {
      cancel();
    }
  }

  /** So that it isn't dropped before someone follows it. */
  #hold(channel: FeedChannel, subscriber: Subscriber): void {
    channel.holds++;
    subscriber.onEnd(channel);
  }

  async #publicChannel(tenantId: TenantId, subscriber: Subscriber): Promise<FeedChannel<PublicFeed>> {
    return this.#deps.feeds.open(tenantId, (feed) => {
      if (feed === undefined) throw new IchorError("TENANT_NOT_FOUND", "no such tenant");
      const known = this.#public.get(tenantId);
      const channel = known?.feed === feed ? known : this.#channelOf(publicFeed, feed, feed.tenant);
      this.#public.set(tenantId, channel);
      this.#hold(channel, subscriber);
      return channel;
    });
  }

  async #audienceChannel(tenant: Tenant, audience: string, subscriber: Subscriber): Promise<FeedChannel<AudienceFeed>> {
    const key = `${tenant.id} ${audience}`;
    let known = this.#audiences.get(key);
    if (known === undefined) {
      const { keyring, now, log, tail } = this.#deps;
      const feed = new AudienceFeed({ keyring, now, log, position: () => tail.position }, tenant.id, audience);
      known = { channel: this.#channelOf(audienceFeed(audience), feed, tenant), loaded: feed.load() };
      this.#audiences.set(key, known);
      known.loaded.catch(() => this.#audiences.delete(key));
    }
    this.#hold(known.channel, subscriber);
    await known.loaded;
    return known.channel;
  }

  #channelOf<F extends Feed>(name: string, feed: F, tenant: Tenant): FeedChannel<F> {
    const { tail, feedKeys, issuer } = this.#deps;
    const sign: SignEvent = (told) =>
      feedKeys.sign(feedStatementBytes({ ...told, issuer: issuerOf(issuer(), tenant), tenantId: tenant.id }));
    const asOfMs = () => tail.asOfMs;
    return new FeedChannel(name, feed, asOfMs, sign, () => this.#dropIdle());
  }

  #feedKeysFrame(): Frame {
    const { told } = this.#deps.feedKeys;
    if (this.#toldKeys?.keys !== told) {
      this.#toldKeys = { keys: told, frame: eventFrame({ case: "feedKeys", value: feedKeysToProto(told) }) };
    }
    return this.#toldKeys.frame;
  }

  #take(event: TailEvent): void {
    const change = event.kind === "reset" ? undefined : event.row.change;
    const audiences = [...this.#audiences.values()];
    if (change === undefined) {
      this.#public.clear();
      this.#audiences.clear();
    }
    for (const { channel } of audiences) channel.feed.take(change);
    this.#streams.recheck((caller) => mayEndCaller(change, caller));
  }

  #dropIdle(): void {
    for (const [tenantId, channel] of this.#public) {
      if (channel.holds > 0) continue;
      channel.close();
      this.#public.delete(tenantId);
      this.#deps.feeds.drop(channel.feed);
    }
    for (const [key, { channel }] of this.#audiences) {
      if (channel.holds > 0) continue;
      channel.close();
      this.#audiences.delete(key);
    }
  }
}

/** The keys are told once more before the signed end, if there is another one by then: it may be the one that signed. */
function* wholeKeySet(first: Frame, keys: () => Frame, snapshot: Iterable<Frame>): Generator<Frame> {
  yield first;
  const toldKeys = keys();
  let last = toldKeys;
  for (const frame of snapshot) {
    yield last;
    last = frame;
  }
  if (keys() !== toldKeys) yield keys();
  yield last;
}

const resyncReasons = {
  other_epoch: ResyncReason.OTHER_HISTORY,
  other_history: ResyncReason.OTHER_HISTORY,
  compacted: ResyncReason.COMPACTED,
  ahead: ResyncReason.AHEAD,
} as const;
