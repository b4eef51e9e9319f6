import type { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { requireScope } from "../core/access.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { type KeyId, newId, parseId, type SubscriptionId, type TenantId } from "../core/ids.ts";
import type { Position } from "../core/key-set/feed.ts";
import { audienceScope } from "../core/scopes.ts";
import type { EndListener, StreamCall, Streaming, Unary } from "../rpc/call.ts";
import { toDuration } from "../wire/time.ts";
import { eventFrame } from "./event-frame.ts";
import { heartbeatMs } from "./open-streams.ts";
import type { StreamTally } from "./stream-tally.ts";
import { Subscriber } from "./subscriber.ts";
import { parseDraft, type WatchDraft } from "./watch-draft.ts";

/** How often a subscriber acknowledges unless it is asked, in ms. */
export const ackIntervalMs = 10_000;

/** Whose key set is streamed. */
export interface KeySetOwner {
  readonly tenantId: TenantId;
  /** The issuer that its tokens name. */
  readonly issuer: string;
}

/** What a stream follows. */
export interface WatchOrder {
  readonly tenantId: TenantId;
  readonly audiences: readonly string[];
  /** How far the client has come in the public feed. */
  readonly resume: Position | undefined;
}

/** Who follows, and how far they have come. */
export interface SubscriptionBook {
  /** Notes a subscription, from before anything is told to it; the one that it replaces is forgotten. */
  open(id: SubscriptionId, draft: WatchDraft, call: StreamCall): Promise<void>;
  /** Its stream has ended; its client goes on with what it knows. */
  disconnected(id: SubscriptionId): Promise<void>;
  /** Throws SUBSCRIPTION_NOT_FOUND unless the credential made the subscription. */
  acknowledge(id: SubscriptionId, keyId: KeyId, feed: string, revision: bigint): Promise<void>;
  /** Forgets a subscription whose client answers by nothing any more that it was told. Throws likewise. */
  leave(id: SubscriptionId, keyId: KeyId): Promise<void>;
}

/** What serves key sets: a server by its store's log, or a relay by what another told it. */
export interface KeySetSource {
  /** Says whose key set a caller gets. Throws if it can't be given as it is asked for. */
  readonly admit: (draft: WatchDraft, call: StreamCall) => Promise<KeySetOwner>;
  readonly book: SubscriptionBook;
  /** Brings a stream up to date, from after `subscribed`, and has it follow until it ends. */
  readonly begin: (subscriber: Subscriber, order: WatchOrder) => Promise<void>;
  /** Up to which revision anything was told here. */
  readonly revision: () => bigint;
  readonly tally: StreamTally;
  /** Calls back once after so many ms and gives what cancels that. */
  readonly schedule: (callback: () => void, delayMs: number) => () => void;
  /** Random bytes of a cryptographic source. */
  readonly random: (size: number) => Uint8Array;
  /** Ms since the epoch. */
  readonly now: () => number;
}

/** WatchKeySet: what verifies the tenant's tokens, as a stream. */
export function watchKeySet(source: KeySetSource): Streaming<typeof DerivationService.method.watchKeySet> {
  const { book, now, random } = source;
  const leaving: EndListener<Subscriber> = { ended: ({ id }) => void book.disconnected(id) };
  return async (request, call, sink) => {
    const draft = parseDraft(request);
    for (const audience of draft.audiences) requireScope(call.caller, `${audienceScope}${audience}`);
    const { tenantId, issuer } = await source.admit(draft, call);
    const id = newId("sub", now(), random(10));
    const subscriber = new Subscriber(id, call, sink, source);
    await book.open(id, draft, call);
    subscriber.onEnd(leaving);
    closeWith(call, subscriber);
    const subscribed = {
      subscriptionId: id,
      tenantId,
      issuer,
      heartbeatInterval: toDuration(heartbeatMs),
      ackInterval: toDuration(ackIntervalMs),
    };
    subscriber.send(eventFrame({ case: "subscribed", value: subscribed }));
    try {
      await source.begin(subscriber, { tenantId, audiences: draft.audiences, resume: draft.resume });
    } catch (error) {
      subscriber.close();
      throw error;
    }
    return subscriber;
  };
}

/** A function of its own, so that what is called back keeps nothing of the request in memory. */
function closeWith(call: StreamCall, subscriber: Subscriber): void {
  call.onClose(() => subscriber.close());
}

/** AckKeySet: how far a subscription has come. */
export function ackKeySet(
  source: Pick<KeySetSource, "book" | "revision">,
): Unary<typeof DerivationService.method.ackKeySet> {
  return async ({ subscriptionId, feed, revision, leaving }, { caller }) => {
    const violations = new FieldViolations();
    const id = parseId("sub", subscriptionId);
    violations.require(id !== undefined, "subscription_id", "must be a TypeID sub_…");
    const possible = revision >= 0n && revision <= source.revision();
    violations.require(possible, "revision", "is not one that this server knows");
    violations.require(feed !== "", "feed", "must name a feed");
    violations.throwIfAny();
    await source.book.acknowledge(id as SubscriptionId, caller.keyId, feed, revision);
    if (leaving) await source.book.leave(id as SubscriptionId, caller.keyId);
    return {};
  };
}
