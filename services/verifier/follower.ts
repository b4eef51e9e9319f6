import { type CallOptions, type Client, Code, ConnectError } from "@connectrpc/connect";
import type { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { ResyncReason, type WatchKeySetResponse } from "../../gen/ichor/v1/key_set_pb.ts";
import { nameOf } from "../wire/enums.ts";
import { feedKeysFromProto, onStaleToProto, publicFeed } from "../wire/key-set.ts";
import { fromDuration, toDuration } from "../wire/time.ts";
import { EventRefused, type FeedTrust, type Identity } from "./feed-trust.ts";
import type { Settings } from "./options.ts";
import { type FeedReplica, ResyncNeeded } from "./replica.ts";

/** Longest time between two attempts to connect, in ms; full jitter below it. */
export const reconnectMsMax = 15_000;
const reconnectMsFirst = 500;
/** Least that is waited when a stream says that it drains, whatever it says, in ms. */
const drainMsLeast = 100;
/** Heartbeats that may be missing before the connection counts as dead. */
const silentHeartbeats = 3;
const heartbeatMsDefault = 2_000;
const ackMsDefault = 10_000;
const ackTimeoutMs = 5_000;
const leaveTimeoutMs = 1_000;

/** What a feed tells once it is applied. */
export type AppliedEvent = Extract<
  WatchKeySetResponse["event"],
  { readonly case: "snapshotEnd" | "delta" | "heartbeat" }
>;

export interface FollowerParts {
  readonly settings: Pick<
    Settings,
    "maxStaleness" | "onStale" | "clientName" | "onEvent" | "clock" | "jitter" | "onward"
  >;
  readonly client: Client<typeof DerivationService>;
  readonly headers: Readonly<Record<string, string>>;
  /** Whose feeds are followed beside `public`. */
  readonly audiences: readonly string[];
  /** Feeds by name; `public` among them. They check by the same `trust`. */
  readonly feeds: ReadonlyMap<string, FeedReplica>;
  /** Whose events are believed; absent: those of whoever is connected to. */
  readonly trust?: FeedTrust | undefined;
  /** Told of each stream's end. */
  readonly onStreamEnd?: () => void;
  /** Told of each stream's beginning, before anything of it is applied. */
  readonly onSubscribed: (identity: Identity) => void;
  /** Told after each event that was applied. */
  readonly onApplied: (feed: FeedReplica, event: AppliedEvent) => void;
  /**
   * Told of what feeds and their keys came as, in order, for who hands it on: keys of feeds, and each event once it is
   * applied; of a snapshot, all events once it is complete. After `onApplied`.
   */
  readonly onAccepted?: (response: WatchKeySetResponse) => void;
}

/** Keeps one stream of WatchKeySet open, applies what it tells, and begins again whenever it ends. */
export class Follower {
  readonly #parts: FollowerParts;
  readonly #closing = new AbortController();
  readonly #done: Promise<void>;
  #subscriptionId = "";
  #connected = false;
  #attempts = 0;
  #retryAfterMs: number | undefined;
  #lastError: unknown;
  #heartbeatMs = heartbeatMsDefault;
  #ackMs = ackMsDefault;
  #ackedMs = Number.NEGATIVE_INFINITY;
  #ackedRevision = -1n;
  #ackUnderWay = false;
  /** Events of snapshots that aren't complete, for `onAccepted`. */
  readonly #snapshots = new Map<FeedReplica, WatchKeySetResponse[]>();
  #ackWanted = false;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    parts.settings.onward?.onRise(() => this.#acknowledge());
    this.#done = this.#run();
  }

  get connected(): boolean {
    return this.#connected;
  }

  get subscriptionId(): string {
    return this.#subscriptionId;
  }

  get lastError(): unknown {
    return this.#lastError;
  }

  /** @param leaves whether nothing that was told is used any more, by nobody: then the server needn't wait for that */
  async close(leaves = false): Promise<void> {
    if (leaves && this.#connected) await this.#leave();
    this.#closing.abort(new Error("the verifier was closed"));
    await this.#done;
  }

  async #run(): Promise<void> {
    const { clock, onEvent } = this.#parts.settings;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      let error: unknown;
      try {
        await this.#follow(signal);
      } catch (thrown) {
        error = thrown;
      }
      this.#connected = false;
      this.#parts.onStreamEnd?.();
      if (signal.aborted) return;
      this.#lastError = error;
      const retryInMs = this.#nextDelayMs();
      onEvent({ kind: "disconnected", error, retryInMs });
      await new Promise<void>((resolve) => {
        const end = () => {
          cancel();
          signal.removeEventListener("abort", end);
          resolve();
        };
        const cancel = clock.schedule(end, retryInMs);
        signal.addEventListener("abort", end, { once: true });
      });
    }
  }

  /** Full jitter; as a server that stops says, if it does. */
  #nextDelayMs(): number {
    const { jitter } = this.#parts.settings;
    const told = this.#retryAfterMs;
    this.#retryAfterMs = undefined;
    if (told !== undefined) return Math.min(Math.max(told, drainMsLeast), reconnectMsMax);
    const most = Math.min(reconnectMsFirst * 2 ** this.#attempts, reconnectMsMax);
    this.#attempts++;
    return jitter() * most;
  }

  /** One stream, to its end. */
  async #follow(closing: AbortSignal): Promise<void> {
    const { settings, client, headers, feeds, trust, onAccepted } = this.#parts;
    const dead = new AbortController();
    const stop = () => dead.abort(closing.reason);
    closing.addEventListener("abort", stop, { once: true });
    let cancelWatch = () => {};
    const watch = () => {
      cancelWatch();
      const silentMs = this.#heartbeatMs * silentHeartbeats;
      cancelWatch = settings.clock.schedule(
        () => dead.abort(new Error(`nothing was heard for ${silentMs} ms`)),
        silentMs,
      );
    };
    // A transport may have a time limit of its own for calls: a stream has none.
    const options: CallOptions = { headers: { ...headers }, signal: dead.signal, timeoutMs: 0 };
    try {
      watch();
      for await (const response of client.watchKeySet(this.#request(), options)) {
        watch();
        const { event } = response;
        if (event.case === "subscribed") {
          this.#begin(event.value);
        } else if (event.case === "feedKeys") {
          this.#refusing("", () => trust?.take(feedKeysFromProto(event.value)));
          onAccepted?.(response);
        } else if (event.case === "drain") {
          this.#retryAfterMs = event.value.retryAfter && fromDuration(event.value.retryAfter);
          return;
        } else if (event.case === "resyncRequired") {
          this.#beginAnew(event.value);
        } else if (event.case !== undefined) {
          const feed = feeds.get(event.value.feed);
          if (feed !== undefined) await this.#take(feed, response);
        }
      }
      throw new ConnectError("the stream ended", Code.Unavailable);
    } finally {
      cancelWatch();
      closing.removeEventListener("abort", stop);
      dead.abort(new Error("the stream is over"));
    }
  }

  #request() {
    const { settings, feeds, audiences } = this.#parts;
    const resume = [...feeds.values()].flatMap(({ name, resumePoint }) =>
      resumePoint === undefined || settings.onward?.lacks(name) ? [] : [{ feed: name, ...resumePoint }],
    );
    return {
      audiences: [...audiences],
      resume,
      maxStaleness: toDuration(settings.maxStaleness * 1000),
      onStale: onStaleToProto(settings.onStale.toUpperCase() as "DENY" | "ALLOW" | "ONLINE"),
      clientVersion: settings.clientName,
      previousSubscriptionId: this.#subscriptionId,
    };
  }

  #begin(subscribed: Extract<WatchKeySetResponse["event"], { case: "subscribed" }>["value"]): void {
    const { subscriptionId, heartbeatInterval, ackInterval, tenantId, issuer } = subscribed;
    this.#refusing("", () => this.#parts.trust?.begin({ tenantId, issuer }));
    this.#subscriptionId = subscriptionId;
    this.#heartbeatMs = (heartbeatInterval && fromDuration(heartbeatInterval)) || heartbeatMsDefault;
    this.#ackMs = (ackInterval && fromDuration(ackInterval)) || ackMsDefault;
    this.#connected = true;
    this.#ackedRevision = -1n;
    this.#ackWanted = false;
    // Whoever resumes gets no other snapshot in the place of one that was cut off.
    this.#snapshots.clear();
    for (const feed of this.#parts.feeds.values()) feed.streamBegins();
    this.#parts.onSubscribed({ tenantId, issuer });
    this.#parts.settings.onEvent({ kind: "connected", subscriptionId });
  }

  #beginAnew({
    feed,
    reason,
    snapshotFollows,
  }: Extract<WatchKeySetResponse["event"], { case: "resyncRequired" }>["value"]): void {
    const { feeds, settings } = this.#parts;
    const error = new ResyncNeeded(`the server asks to begin anew (${nameOf(ResyncReason, reason)})`);
    for (const one of feeds.values()) {
      if (feed !== "" && feed !== one.name) continue;
      one.forgetPosition();
      settings.onEvent({ kind: "resync", feed: one.name, error });
    }
    if (!snapshotFollows) throw error;
  }

  async #take(feed: FeedReplica, response: WatchKeySetResponse): Promise<void> {
    const { onward, onEvent } = this.#parts.settings;
    const { event } = response;
    try {
      await feed.take(response);
    } catch (error) {
      if (error instanceof ResyncNeeded || error instanceof TypeError) {
        feed.forgetPosition();
        onEvent({ kind: "resync", feed: feed.name, error });
      }
      this.#tellRefusal(feed.name, error);
      throw error;
    }
    if (event.case !== "delta" && event.case !== "heartbeat" && event.case !== "snapshotEnd") {
      this.#handOn(feed, response);
      return;
    }
    this.#attempts = 0;
    this.#lastError = undefined;
    this.#parts.onApplied(feed, event);
    this.#handOn(feed, response);
    if (feed.name === publicFeed) {
      if (event.case === "heartbeat") this.#ackWanted = event.value.ackWanted;
      this.#acknowledge();
    }
    if (onward?.lacks(feed.name)) throw new Error(`${feed.name} begins with a snapshot again`);
  }

  /** Events of a snapshot wait for its end, which vouches for them. */
  #handOn(feed: FeedReplica, response: WatchKeySetResponse): void {
    const { onAccepted } = this.#parts;
    if (onAccepted === undefined) return;
    switch (response.event.case) {
      case "snapshotBegin":
        this.#snapshots.set(feed, [response]);
        break;
      case "snapshotItems":
        this.#snapshots.get(feed)?.push(response);
        break;
      case "snapshotEnd":
        for (const part of this.#snapshots.get(feed) ?? []) onAccepted(part);
        this.#snapshots.delete(feed);
        onAccepted(response);
        break;
      default:
        onAccepted(response);
    }
  }

  #refusing(feed: string, check: () => void): void {
    try {
      check();
    } catch (error) {
      this.#tellRefusal(feed, error);
      throw error;
    }
  }

  #tellRefusal(feed: string, error: unknown): void {
    if (error instanceof EventRefused) this.#parts.settings.onEvent({ kind: "refused", feed, error });
  }

  /** That it fails only makes the server wait for longer. */
  async #leave(): Promise<void> {
    const { client, headers, feeds } = this.#parts;
    const revision = feeds.get(publicFeed)?.position?.revision ?? 0n;
    const request = { subscriptionId: this.#subscriptionId, feed: publicFeed, revision, leaving: true };
    await client.ackKeySet(request, { headers: { ...headers }, timeoutMs: leaveTimeoutMs }).catch(() => {});
  }

  /** Says how far `public` was applied: when asked, and every 10 s. That it fails is no fault of what is known. */
  #acknowledge(): void {
    const { client, headers, settings, feeds } = this.#parts;
    const nowMs = settings.clock.monotonicMs();
    const isTime = nowMs - this.#ackedMs >= this.#ackMs;
    if (!this.#connected || this.#ackUnderWay || !(isTime || this.#ackWanted)) return;
    const applied = feeds.get(publicFeed)?.position?.revision ?? 0n;
    const revision = settings.onward?.least(applied) ?? applied;
    if (!isTime && revision <= this.#ackedRevision) return;
    this.#ackUnderWay = true;
    const request = { subscriptionId: this.#subscriptionId, feed: publicFeed, revision };
    client.ackKeySet(request, { headers: { ...headers }, timeoutMs: ackTimeoutMs }).then(
      () => {
        this.#ackUnderWay = false;
        this.#ackedMs = nowMs;
        if (revision > this.#ackedRevision) this.#ackedRevision = revision;
        // Whatever was applied, here or by others, while this was under way.
        this.#acknowledge();
      },
      () => {
        this.#ackUnderWay = false;
      },
    );
  }
}
