import type { MessageShape } from "@bufbuild/protobuf";
import type { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { type WatchEventsRequestSchema, WatchEventsResponseSchema } from "../../gen/ichor/v1/audit_pb.ts";
import { IchorError } from "../core/errors.ts";
import { FieldViolations } from "../core/field-violations.ts";
import type { Streaming } from "../rpc/call.ts";
import { Frame } from "../rpc/frame.ts";
import type { AdminDeps } from "./deps.ts";
import { EventStream } from "./event-stream.ts";

/** How many streams of events may be open at a time: each reads the trail for itself. */
export const eventStreamsMax = 200;
const actionsMax = 50;

/** WatchEvents: the tenant's audit trail as a stream. */
export function watchEvents(deps: AdminDeps): Streaming<typeof AdminService.method.watchEvents> {
  const { drain } = deps.events;
  const open = new Set<EventStream>();
  const stop = () => {
    for (const stream of open) stream.drain();
  };
  drain.addEventListener("abort", stop, { once: true });
  return async (request, call, sink) => {
    const { events, store } = deps;
    const { after, actions } = parseStart(request, (await store.head()).revision, events.tail.revision);
    const { storeEpoch, revision } = events.tail;
    if (request.storeEpoch !== "" && request.storeEpoch !== storeEpoch) {
      const event = { case: "resyncRequired", value: { storeEpoch, revision } } as const;
      sink.write(Frame.of(WatchEventsResponseSchema, { event }));
      return;
    }
    if (open.size >= eventStreamsMax) {
      throw new IchorError("TOO_MANY_STREAMS", "too many streams of events are open", { retryAfterMs: 1_000 });
    }
    if (drain.aborted) throw new IchorError("DRAINING", "the server is shutting down");
    const stream = new EventStream(events, call, sink, { after, actions });
    open.add(stream);
    try {
      await stream.run();
    } finally {
      open.delete(stream);
    }
  };
}

function parseStart(
  { afterRevision, storeEpoch, actions }: MessageShape<typeof WatchEventsRequestSchema>,
  newest: bigint,
  known: bigint,
): { readonly after: bigint; readonly actions: readonly string[] } {
  const violations = new FieldViolations();
  const after = afterRevision ?? known;
  const there = after >= 0n && after <= newest;
  // Of another history, it needn't be.
  violations.require(there || storeEpoch !== "", "after_revision", "is not a revision of the store");
  violations.require(storeEpoch === "" || /^[0-9a-f]{32}$/.test(storeEpoch), "store_epoch", "is not a store epoch");
  violations.require(actions.length <= actionsMax, "actions", `must be at most ${actionsMax}`);
  actions.slice(0, actionsMax).forEach((action, i) => {
    violations.require(/^[A-Za-z]{1,64}$/.test(action), `actions[${i}]`, "is not the name of an action");
  });
  violations.throwIfAny();
  return { after, actions };
}
