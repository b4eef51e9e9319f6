import { feedKeysFromProto, feedKeysToProto } from "../wire/key-set.ts";
import { itemsEvent, snapshotEvents } from "../wire/key-set-snapshot.ts";
import { EventRefused, type FeedTrust, type Identity } from "./feed-trust.ts";
import type { Settings } from "./options.ts";
import type { FeedReplica } from "./replica.ts";
import { fileEvent, SnapshotFile, SnapshotFileUnusable } from "./snapshot-file.ts";

/** How often the file is written at most, in ms. */
export const keepIntervalMs = 60_000;

/** Keeps the key set in a file, and brings it back at the next start. Nothing of this ever fails the verifier. */
export class SnapshotKeeper {
  readonly #settings: Settings;
  readonly #file: SnapshotFile;
  readonly #feeds: ReadonlyMap<string, FeedReplica>;
  readonly #trust: FeedTrust | undefined;
  #writtenMs = Number.NEGATIVE_INFINITY;

  private constructor(
    settings: Settings,
    file: SnapshotFile,
    feeds: ReadonlyMap<string, FeedReplica>,
    trust: FeedTrust | undefined,
  ) {
    this.#settings = settings;
    this.#file = file;
    this.#feeds = feeds;
    this.#trust = trust;
  }

  static of(
    settings: Settings,
    feeds: ReadonlyMap<string, FeedReplica>,
    trust: FeedTrust | undefined,
  ): SnapshotKeeper | undefined {
    const { snapshotFile, credential, urls, audience } = settings;
    if (snapshotFile === undefined) return undefined;
    const file = new SnapshotFile(snapshotFile, credential, urls.join(" "), audience);
    return new SnapshotKeeper(settings, file, feeds, trust);
  }

  /** Applies what the file holds, and gives whose key set it is; undefined if there is none that can be used. */
  load(): Identity | undefined {
    try {
      const events = this.#file.read();
      if (events === undefined) return undefined;
      let identity: Identity | undefined;
      let vouched = this.#trust === undefined;
      for (const { event, feedKeyId } of events) {
        if (event.case === "subscribed") {
          identity = event.value;
          this.#trust?.begin(identity);
        } else if (event.case === "feedKeys") {
          // Before anything is applied: of what was taken from whoever it came from, nothing is.
          this.#trust?.take(feedKeysFromProto(event.value));
          this.#trust?.accept(feedKeyId);
          vouched = true;
        } else if (event.case === "snapshotBegin" || event.case === "snapshotItems" || event.case === "snapshotEnd") {
          if (!vouched) throw new EventRefused("it was signed by no key that is believed");
          this.#feeds.get(event.value.feed)?.takeNow(event);
        }
      }
      return identity;
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const told = error instanceof SnapshotFileUnusable || error instanceof EventRefused;
      const why = told ? error.message : "it tells no whole key set";
      this.#settings.onEvent({ kind: "snapshot_file_ignored", why });
      return undefined;
    }
  }

  /** Writes the file if it is time to. */
  changed(identity: Identity | undefined): void {
    const nowMs = this.#settings.clock.monotonicMs();
    if (nowMs - this.#writtenMs >= keepIntervalMs) this.#write(identity, nowMs);
  }

  close(identity: Identity | undefined): void {
    this.#write(identity, this.#settings.clock.monotonicMs());
  }

  #write(identity: Identity | undefined, nowMs: number): void {
    const feeds = [...this.#feeds.values()];
    if (identity === undefined || feeds.some(({ resumePoint }) => resumePoint === undefined)) return;
    try {
      const { tenantId, issuer } = identity;
      this.#file.write([
        fileEvent({ case: "subscribed", value: { tenantId, issuer } }),
        fileEvent({ case: "feedKeys", value: feedKeysToProto(this.#trust?.known ?? []) }, this.#trust?.signedBy),
        ...feeds.flatMap((feed) => {
          const { name, state, position } = feed;
          if (position === undefined) return [];
          const { begin, parts, end } = snapshotEvents(name, state, position, feed.asOfMs);
          const items = [...parts()].map((part) => itemsEvent(name, part));
          return [begin, ...items, end].map((event) => fileEvent(event));
        }),
      ]);
      this.#writtenMs = nowMs;
    } catch (error) {
      this.#settings.onEvent({ kind: "snapshot_file_failed", error });
    }
  }
}
