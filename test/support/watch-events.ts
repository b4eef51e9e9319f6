import type { MessageInitShape } from "@bufbuild/protobuf";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import type { AuditEvent, WatchEventsRequestSchema, WatchEventsResponse } from "../../gen/ichor/v1/audit_pb.ts";
import type { TestApp } from "./test-app.ts";

/** A stream of events, read by hand. */
export interface EventWatch {
  next(): Promise<WatchEventsResponse["event"]>;
  /** The next events, what else is sent passed over. */
  events(count: number): Promise<readonly AuditEvent[]>;
  close(): void;
}

/** Opens one as root, or as whom the headers say. */
export function watchEvents(
  t: TestApp,
  request: Omit<MessageInitShape<typeof WatchEventsRequestSchema>, "$typeName"> = {},
  credential?: string,
  headers?: Record<string, string>,
): EventWatch {
  const abort = new AbortController();
  const all = { authorization: `Bearer ${credential ?? t.rootCredential}`, ...headers };
  const answers = t
    .client(AdminService)
    .watchEvents(request, { headers: all, signal: abort.signal })
    [Symbol.asyncIterator]();
  const next = async () => {
    const { done, value } = await answers.next();
    if (done) throw new Error("the stream has ended");
    return value.event;
  };
  return {
    next,
    async events(count) {
      const events: AuditEvent[] = [];
      while (events.length < count) {
        const event = await next();
        if (event.case === "auditEvent") events.push(event.value);
      }
      return events;
    },
    close: () => abort.abort(),
  };
}
