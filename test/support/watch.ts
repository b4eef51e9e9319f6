import type { MessageInitShape } from "@bufbuild/protobuf";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import type { WatchKeySetRequestSchema, WatchKeySetResponse } from "../../gen/ichor/v1/key_set_pb.ts";
import { emptyDelta } from "../../services/core/key-set/key-set-delta.ts";
import { KeySetState } from "../../services/core/key-set/key-set-state.ts";
import { keySetItemsFromProto } from "../../services/wire/key-set.ts";
import type { TestApp } from "./test-app.ts";

type WatchEvent = WatchKeySetResponse["event"];
type Case = NonNullable<WatchEvent["case"]>;
type ValueOf<C extends Case> = Extract<WatchEvent, { case: C }>["value"];

/** A stream of WatchKeySet, read event by event. */
export interface Watch {
  /** The next event; fails the test if the stream ends. */
  next(): Promise<WatchEvent>;
  /** The next event of a kind; others before it are skipped. */
  until<C extends Case>(kind: C): Promise<ValueOf<C>>;
  /** Resolves with what is left once the stream has ended; rejects with its error. */
  rest(): Promise<readonly WatchEvent[]>;
  close(): void;
}

/** Subscribes; close it after. */
export function watch(
  t: TestApp,
  request: Omit<MessageInitShape<typeof WatchKeySetRequestSchema>, "$typeName"> = {},
  credential?: string,
): Watch {
  const gone = new AbortController();
  const stream = t.client(DerivationService, credential).watchKeySet(request, {
    signal: gone.signal,
    headers: {
      authorization: `Bearer ${credential ?? t.rootCredential}`,
    },
  });
  return readWatch(stream, () => gone.abort(new Error("the test is done")));
}

/** The same for a stream of any client. */
export function readWatch(stream: AsyncIterable<WatchKeySetResponse>, close: () => void): Watch {
  const events = stream[Symbol.asyncIterator]();
  const next = async () => {
    const { value, done } = await events.next();
    if (done) throw new Error("the stream has ended");
    return value.event;
  };
  return {
    next,
    async until(kind) {
      for (;;) {
        const event = await next();
        if (event.case === kind) return event.value as ValueOf<typeof kind>;
      }
    },
    async rest() {
      const rest: WatchEvent[] = [];
      for (let next = await events.next(); !next.done; next = await events.next()) rest.push(next.value.event);
      return rest;
    },
    close,
  };
}

/** A client of the feed `public` as simple as can be: applies what it is told, and checks each promise of the stream. */
export class SimpleFollower {
  state = new KeySetState(1);
  revision = 0n;
  hash: Uint8Array = new Uint8Array(32);
  storeEpoch = "";
  synced = false;
  #draft: KeySetState | undefined;

  /** Takes an event; throws if it breaks the contract. */
  take(event: WatchEvent): void {
    switch (event.case) {
      case "snapshotBegin":
        this.#draft = new KeySetState(1);
        this.storeEpoch = event.value.storeEpoch;
        break;
      case "snapshotItems":
        this.#draft?.apply(event.value.items ? keySetItemsFromProto(event.value.items) : emptyDelta);
        break;
      case "snapshotEnd":
        if (this.#draft === undefined) throw new Error("a snapshot ends that has not begun");
        this.state = this.#draft;
        this.#draft = undefined;
        this.#moveTo(event.value, this.revision);
        this.synced = true;
        break;
      case "delta":
      case "heartbeat":
        if (event.value.prevRevision !== this.revision) throw new Error("something was missed");
        if (event.case === "delta" && event.value.items) this.state.apply(keySetItemsFromProto(event.value.items));
        this.#moveTo(event.value, event.value.prevRevision);
        break;
    }
  }

  #moveTo(
    { revision, hash, digest }: { readonly revision: bigint; readonly hash: Uint8Array; readonly digest: Uint8Array },
    from: bigint,
  ): void {
    if (revision < from) throw new Error("it went back in time");
    if (Buffer.compare(digest, this.state.digest) !== 0) throw new Error("the digest is another one");
    this.revision = revision;
    this.hash = hash;
  }
}
