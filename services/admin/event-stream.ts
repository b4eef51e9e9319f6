import type { MessageInitShape } from "@bufbuild/protobuf";
import { WatchEventsResponseSchema } from "../../gen/ichor/v1/audit_pb.ts";
import type { Tail, TailEvent } from "../changes/tail.ts";
import { isCallerRefusal, mayEndCaller } from "../core/caller-end.ts";
import type { FrameSink, StreamCall } from "../rpc/call.ts";
import { Frame } from "../rpc/frame.ts";
import type { AuditStore } from "../store/audit-port.ts";
import { auditEventToProto } from "../wire/audit.ts";
import { toDuration } from "../wire/time.ts";

/** Time between two messages that tell how far the stream is, in ms, while there is no event. */
export const progressMs = 5_000;
/** Least time between two reads of one stream, in ms: what is committed meanwhile comes together. */
const pauseMs = 50;
/** How often the caller is checked again, in ms: credentials also end by the clock. */
const recheckMs = 30_000;
/** Events of a read. */
const pageSize = 200;
/** What may wait for a client that reads slowly, in bytes: then no more is read for it. */
const bufferedBytesMax = 256 * 1024;
/** Streams that end together come back within this time, in ms. */
const drainSpreadMs = 5_000;

/** What streams of events need. */
export interface EventSource {
  readonly audit: Pick<AuditStore, "scanEvents">;
  readonly tail: Pick<Tail, "revision" | "storeEpoch" | "subscribe">;
  /** Calls back once after so many ms and gives what cancels that. */
  readonly schedule: (callback: () => void, delayMs: number) => () => void;
  /** Aborts when the server stops. */
  readonly drain: AbortSignal;
  /** From 0 to below 1. */
  readonly jitter: () => number;
}

type EventInit = NonNullable<MessageInitShape<typeof WatchEventsResponseSchema>["event"]>;

/**
 * One stream of a tenant's events. It reads the trail, which keeps every event, up to where the tail has come without a
 * gap, and no faster than its client takes it: so there is nothing to keep for a slow one, and nothing to lose.
 */
export class EventStream {
  readonly #source: EventSource;
  readonly #call: StreamCall;
  readonly #sink: FrameSink;
  readonly #actions: ReadonlySet<string>;
  #at: bigint;
  #over = false;
  #refusal: unknown;
  #woken = false;
  #wake: () => void = () => {};

  /** `actions`: only events of these; empty: every event. `after`: only those of later revisions. */
  constructor(
    source: EventSource,
    call: StreamCall,
    sink: FrameSink,
    { actions, after }: { readonly actions: readonly string[]; readonly after: bigint },
  ) {
    this.#source = source;
    this.#call = call;
    this.#sink = sink;
    this.#actions = new Set(actions);
    this.#at = after;
  }

  /** Sends until the stream ends. Rejects with why its caller isn't let in any more. */
  async run(): Promise<void> {
    const { tail } = this.#source;
    const unsubscribe = tail.subscribe((event) => this.#take(event));
    this.#call.onClose(() => this.#end());
    try {
      this.#send({ case: "subscribed", value: { storeEpoch: tail.storeEpoch, afterRevision: this.#at } });
      await this.#follow();
    } finally {
      this.#over = true;
      unsubscribe();
    }
    if (this.#refusal !== undefined) throw this.#refusal;
  }

  async #follow(): Promise<void> {
    let sinceRecheckMs = 0;
    while (!this.#over) {
      const sent = await this.#sendUpTo(this.#source.tail.revision);
      this.#send({ case: "progress", value: { revision: this.#at } });
      const woken = await this.#idle(progressMs);
      sinceRecheckMs += woken ? pauseMs : progressMs;
      if (woken || sent) await this.#pause();
      if (sinceRecheckMs < recheckMs) continue;
      sinceRecheckMs = 0;
      await this.#recheck();
    }
  }

  /** Sends what there is up to a revision; whether there was anything. */
  async #sendUpTo(through: bigint): Promise<boolean> {
    const { audit } = this.#source;
    let sent = false;
    while (!this.#over && this.#at < through) {
      const filter = { eventTime: {}, beforeRevision: through + 1n };
      const query = { tenantId: this.#call.tenantId, filter, descending: false };
      const { hits, next } = await audit.scanEvents(query, this.#at, pageSize);
      for (const event of hits) {
        if (this.#actions.size > 0 && !this.#actions.has(event.action)) continue;
        sent = true;
        this.#send({ case: "auditEvent", value: auditEventToProto(event) });
      }
      if (this.#over) return sent;
      this.#at = next ?? through;
      if (this.#sink.bufferedBytes > bufferedBytesMax) await this.#drainedSink();
    }
    return sent;
  }

  #take(event: TailEvent): void {
    const change = event.kind === "reset" ? undefined : event.row.change;
    if (event.kind === "reset" && event.reason !== "compacted") {
      const { storeEpoch, revision } = event.head;
      this.#end({ case: "resyncRequired", value: { storeEpoch, revision } });
      return;
    }
    const { keyId, tenantId: callerTenantId } = this.#call.caller;
    if (mayEndCaller(change, { keyId, callerTenantId })) void this.#recheck();
    this.#awake();
  }

  /** Asks the client to come back later, and ends. */
  drain(): void {
    const retryAfter = toDuration(this.#source.jitter() * drainSpreadMs);
    this.#end({ case: "drain", value: { retryAfter } });
  }

  /** Ends the stream unless its caller would still be let in. */
  async #recheck(): Promise<void> {
    try {
      await this.#call.recheck();
    } catch (reason) {
      if (!isCallerRefusal(reason)) return;
      this.#refusal ??= reason;
      this.#end();
    }
  }

  #end(last?: EventInit): void {
    if (this.#over) return;
    if (last !== undefined) this.#send(last);
    this.#over = true;
    this.#awake();
  }

  #send(event: EventInit): void {
    if (!this.#over) this.#sink.write(Frame.of(WatchEventsResponseSchema, { event }));
  }

  #awake(): void {
    this.#woken = true;
    this.#wake();
  }

  /** Waits to be woken, or so long; whether it was woken. */
  async #idle(spanMs: number): Promise<boolean> {
    let cancel = () => {};
    if (!this.#woken && !this.#over) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        cancel = this.#source.schedule(resolve, spanMs);
      });
    }
    cancel();
    const woken = this.#woken;
    this.#woken = false;
    return woken;
  }

  async #pause(): Promise<void> {
    if (!this.#over) await new Promise<void>((resolve) => this.#source.schedule(resolve, pauseMs));
  }

  async #drainedSink(): Promise<void> {
    const ended = new Promise<void>((resolve) => {
      this.#wake = () => this.#over && resolve();
    });
    await Promise.race([this.#sink.drained(), ended]);
  }
}
