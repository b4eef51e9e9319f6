import type { DescMethodServerStreaming, DescMethodUnary, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import { actingTenant, requireScope } from "../core/access.ts";
import type { Caller } from "../core/caller.ts";
import { IchorError } from "../core/errors.ts";
import { after, type Eventual } from "../core/eventual.ts";
import type { TenantId } from "../core/ids.ts";
import { parseTraceparent } from "../core/traceparent.ts";
import type { CallerAccess } from "./access.ts";
import { AdmittedCall } from "./admitted-call.ts";
import { AdmittedStream, type StreamDone, type StreamSteps } from "./admitted-stream.ts";
import { bearerCredential } from "./bearer-credential.ts";
import type { Call, Carrier, FrameSink, LastingStream } from "./call.ts";
import { CallLifetime } from "./call-lifetime.ts";
import type { RecordCall, RpcSystem } from "./call-record.ts";
import { CallSlots } from "./call-slots.ts";
import type { CallTrace, TraceCall } from "./call-trace.ts";
import type { CertifiedPeer } from "./certified-peer.ts";
import { deadlineExceeded, type Failure, failureOf } from "./error-boundary.ts";
import type { StreamMethod, UnaryMethod } from "./method-registry.ts";

/** The longest that a unary call runs, in ms, whatever its client allows. */
export const callTimeoutMsMax = 60_000;

/** How many streams of open methods may be open at a time: anyone may open them, and each takes some 50 KB. */
export const openStreamsMax = 2_000;

/** The ports of the pipeline. */
export interface PipelineDeps {
  /**
   * Says whose credential this is; for the holder of any if the method is about the credential itself. Throws
   * CREDENTIAL_REFUSED if it isn't valid now, whatever check it failed.
   */
  readonly authenticate: (presentedCredential: string, clientAddress: string, holder: boolean) => Eventual<Caller>;
  /** Gives what `authenticate` gets of the header Authorization; default `bearerCredential`. */
  readonly credentialOf?: (authorization: string | undefined) => string;
  /** Says where the client is: the peer, or for whom a trusted proxy asks; empty: unknown. */
  readonly clientAddress: (carrier: Carrier) => string;
  /**
   * Says for whom a client certificate stands that comes without a credential; undefined: for nobody. Throws
   * CREDENTIAL_REFUSED if its key may not call now. Default: for nobody.
   */
  readonly authenticateCertified?: (peer: CertifiedPeer, clientAddress: string) => Eventual<Caller> | undefined;
  /** Says which tenant has this id or slug. Throws TENANT_NOT_FOUND. Asked only for callers that may leave theirs. */
  readonly resolveTenant: (idOrSlug: string) => Promise<TenantId>;
  /** Takes one use of the limits of the caller's key, if it has some. Throws RATE_LIMITED. */
  readonly limitCaller: (caller: Caller) => Eventual<void>;
  /** Whether the server is shutting down. */
  readonly isDraining: () => boolean;
  /** Log and metrics. */
  readonly record: RecordCall;
  /** Follows calls of methods that aren't open. */
  readonly traceCall?: TraceCall;
  /** A clock that only goes forward, in ms with fractions. */
  readonly monotonicMs: () => number;
  /** The longest that a call runs, in ms; default 60 s. */
  readonly callTimeoutMsMax?: number;
  /** Bounds how many unary calls wait at a time; default: a bound of its own. */
  readonly slots?: CallSlots;
  /** How many streams of open methods may be open at a time; default 2 000. */
  readonly openStreamsMax?: number;
}

/**
 * What surrounds every call, the same on every transport. For a unary method, in this order:
 *
 * 1. record: each call is logged and measured once, however it ends;
 * 2. error boundary: whatever is thrown becomes a ConnectError with its details;
 * 3. draining: DRAINING;
 * 4. deadline: DEADLINE_EXCEEDED at the client's timeout or the server's, whichever is first; a call that has none left,
 *    or whose client is gone, isn't begun;
 * 5. authentication: CREDENTIAL_MISSING, CREDENTIAL_REFUSED;
 * 6. acting tenant: TENANT_NOT_ALLOWED, TENANT_NOT_FOUND;
 * 7. authorisation: SCOPE_MISSING;
 * 8. the request is decoded: only here, since a few bytes of a stranger can be made to cost seconds;
 * 9. a slot, if the method has to wait for something: TOO_MANY_CALLS; also for 5, by the client's address;
 * 10. rate limits of the caller's key, last, so that a refused call takes nothing from them: RATE_LIMITED;
 * 11. the method.
 *
 * Open methods (health, reflection) have steps 1 and 2 only: health must answer while the server drains. Their streams
 * are bounded in number: TOO_MANY_STREAMS.
 */
export interface Pipeline {
  /**
   * Runs a unary method on what `decode` gives. Rejects with a ConnectError that is ready to be sent, always. A call that
   * waits for nothing has its answer at once.
   */
  unary<M extends DescMethodUnary>(
    method: UnaryMethod<M>,
    decode: () => MessageShape<M["input"]>,
    carrier: Carrier,
  ): Eventual<MessageInitShape<M["output"]>>;
  /**
   * Asks the checks before the request (3, 5, 6, 7), for a transport that would have to hold much of a body, or to work
   * on it, before `unary` or `stream`, which ask them again: a key may end while a body comes. Rejects as `unary`; what passes
   * isn't recorded.
   */
  screen(method: Admitted, carrier: Carrier): Promise<Screened>;
  /** Runs a streaming method, and tells `then` when its stream has ended; steps 1 to 3, 5 to 8 and 10. */
  stream<M extends DescMethodServerStreaming>(
    method: StreamMethod<M>,
    request: MessageShape<M["input"]>,
    carrier: Carrier,
    sink: FrameSink,
    then: StreamDone,
  ): void;
  /** Runs an open method. Rejects with a ConnectError. */
  open<T>(method: string, carrier: Carrier, run: () => Promise<T>): Promise<T>;
  /** Runs an open streaming method. Throws ConnectErrors. */
  openStream<T>(method: string, carrier: Carrier, run: () => AsyncIterable<T>): AsyncIterable<T>;
  /** Records a call that its transport refuses before the method, and gives the error to send. */
  refuse(method: string, open: boolean, carrier: Carrier, thrown: unknown, screened?: Screened): ConnectError;
}

/** Who calls, and where: what is known of a call before its request. */
export interface Screened {
  readonly caller: Caller;
  readonly tenantId: TenantId;
}

/** What admission asks of a method, unary or streaming. */
export type Admitted = Pick<UnaryMethod, "name" | "access">;

/** What the pipeline has learnt of a call so far. */
interface Progress {
  readonly method: string;
  readonly open: boolean;
  readonly carrier: Carrier;
  readonly clientAddress: string;
  readonly startMs: number;
  caller: Caller | undefined;
  tenantId: TenantId | undefined;
  trace: CallTrace | undefined;
}

/** The pipeline on its ports. */
export function createPipeline(deps: PipelineDeps): Pipeline {
  const { authenticate, authenticateCertified, clientAddress, resolveTenant, limitCaller } = deps;
  const { isDraining, record, traceCall, monotonicMs } = deps;
  const timeoutMsMax = deps.callTimeoutMsMax ?? callTimeoutMsMax;
  const slots = deps.slots ?? new CallSlots();
  const streamsMax = deps.openStreamsMax ?? openStreamsMax;
  const credentialOf = deps.credentialOf ?? bearerCredential;
  let streams = 0;

  function unary<M extends DescMethodUnary>(
    method: UnaryMethod<M>,
    decode: () => MessageShape<M["input"]>,
    carrier: Carrier,
  ): Eventual<MessageInitShape<M["output"]>> {
    const progress = begin(method.name, false, carrier);
    const lifetime = new CallLifetime(carrier);
    const succeed = (answer: MessageInitShape<M["output"]>) => {
      lifetime.complete();
      finish(progress, undefined);
      return answer;
    };
    const failed = (thrown: unknown) => {
      lifetime.complete();
      return Promise.reject(fail(progress, thrown));
    };
    try {
      requireNotDraining();
      const timeoutMs = timeLeft(carrier, timeoutMsMax);
      const answer = traced(progress, () =>
        after(admit(method, progress, lifetime, progress.startMs + timeoutMs), (admitted) => {
          const request = decode();
          const { keyId } = admitted.caller;
          slots.requireRoom(keyId);
          const work = after(limitUse(method, admitted), () => method.run(request, admitted));
          return work instanceof Promise ? slots.hold(keyId, work) : work;
        }),
      );
      if (answer instanceof Promise) return withinDeadline(answer, lifetime, timeoutMs).then(succeed, failed);
      return succeed(answer);
    } catch (thrown) {
      return failed(thrown);
    }
  }

  function stream<M extends DescMethodServerStreaming>(
    method: StreamMethod<M>,
    request: MessageShape<M["input"]>,
    carrier: Carrier,
    sink: FrameSink,
    then: StreamDone,
  ): void {
    const progress = begin(method.name, false, carrier);
    const run = async () => {
      requireNotDraining();
      const { caller, tenantId } = await authorize(method, progress);
      const call = new AdmittedStream(steps, method.access, progress, caller, tenantId, then);
      await limitUse(method, call);
      const lasting = await method.run(request, call, sink);
      if (lasting) lasting.onEnd(call);
      else call.ended(endedWell);
    };
    traced(progress, run).catch((thrown: unknown) => then.done(steps.settle(progress, thrown)));
  }

  const steps: StreamSteps<Progress> = {
    recheck: async (access, progress) => void (await authorize({ access }, progress)),
    settle(progress, refusal) {
      try {
        if (refusal !== undefined) return fail(progress, refusal);
        finish(progress, undefined);
        return undefined;
      } catch (thrown) {
        // Nobody waits who could catch it: that an end can't be recorded must not end the process.
        return failureOf(thrown, false).error;
      }
    },
  };

  async function screen(method: Admitted, carrier: Carrier): Promise<Screened> {
    const progress = begin(method.name, false, carrier);
    try {
      requireNotDraining();
      return await authorize(method, progress);
    } catch (thrown) {
      throw fail(progress, thrown);
    }
  }

  function requireNotDraining(): void {
    if (isDraining()) throw new IchorError("DRAINING", "the server is shutting down");
  }

  function admit(method: Admitted, progress: Progress, lifetime: CallLifetime, endMs: number): Eventual<Call> {
    return after(authorize(method, progress), ({ caller, tenantId }) => {
      const { clientAddress } = progress;
      return new AdmittedCall(method.name, caller, tenantId, clientAddress, lifetime, endMs, monotonicMs);
    });
  }

  function limitUse({ access }: Admitted, { caller }: Pick<Screened, "caller">): Eventual<void> {
    return "unlimited" in access ? undefined : limitCaller(caller);
  }

  function authorize({ access }: Pick<Admitted, "access">, progress: Progress): Eventual<Screened> {
    const { carrier } = progress;
    return after(slots.holdBegun(progress.clientAddress, callerOf(access, progress)), (caller) => {
      progress.caller = caller;
      return after(tenantOf(caller, carrier.header("ichor-tenant")), (tenantId) => {
        progress.tenantId = tenantId;
        if ("scope" in access) requireScope(caller, access.scope);
        return { caller, tenantId };
      });
    });
  }

  function callerOf(access: CallerAccess, { carrier, clientAddress }: Progress): Eventual<Caller> {
    const authorization = carrier.header("authorization");
    const certified = authorization === undefined ? byCertificate(access, carrier, clientAddress) : undefined;
    return certified ?? authenticate(credentialOf(authorization), clientAddress, "holder" in access);
  }

  /** A page in a browser sends the certificate without having it: what comes from one must show a credential. */
  function byCertificate(access: CallerAccess, carrier: Carrier, clientAddress: string): Eventual<Caller> | undefined {
    const { certified } = carrier;
    if (certified === undefined || "holder" in access || carrier.header("origin") !== undefined) return undefined;
    return authenticateCertified?.(certified, clientAddress);
  }

  function tenantOf(caller: Caller, ichorTenant: string | undefined): Eventual<TenantId> {
    if (ichorTenant === undefined) return caller.tenantId;
    // Refuses the header before any look-up, for all who may not send it.
    actingTenant(caller, ichorTenant);
    return resolveTenant(ichorTenant);
  }

  async function open<T>(method: string, carrier: Carrier, run: () => Promise<T>): Promise<T> {
    const progress = begin(method, true, carrier);
    try {
      const answer = await run();
      finish(progress, undefined);
      return answer;
    } catch (thrown) {
      throw fail(progress, thrown);
    }
  }

  async function* openStream<T>(method: string, carrier: Carrier, run: () => AsyncIterable<T>): AsyncIterable<T> {
    const progress = begin(method, true, carrier);
    streams += 1;
    try {
      if (streams > streamsMax) throw tooManyStreams();
      yield* run();
      finish(progress, undefined);
    } catch (thrown) {
      throw fail(progress, thrown);
    } finally {
      streams -= 1;
    }
  }

  function refuse(
    method: string,
    isOpen: boolean,
    carrier: Carrier,
    thrown: unknown,
    screened?: Screened,
  ): ConnectError {
    return fail({ ...begin(method, isOpen, carrier), ...screened }, thrown);
  }

  function begin(method: string, isOpen: boolean, carrier: Carrier): Progress {
    return {
      method,
      open: isOpen,
      carrier,
      clientAddress: clientAddress(carrier),
      startMs: monotonicMs(),
      caller: undefined,
      tenantId: undefined,
      trace: undefined,
    };
  }

  function traced<T>(progress: Progress, work: () => T): T {
    if (traceCall === undefined) return work();
    progress.trace = traceCall(progress.method, progress.carrier);
    return progress.trace.run(work);
  }

  function fail(progress: Progress, thrown: unknown): ConnectError {
    const failure = failureOf(thrown, hasGone(progress.carrier));
    finish(progress, failure);
    return failure.error;
  }

  function finish(progress: Progress, failure: Failure | undefined): void {
    const { method, open, carrier, clientAddress, startMs, caller, tenantId } = progress;
    const durationMs = monotonicMs() - startMs;
    const { peerAddress } = carrier;
    const system = systemOf(carrier);
    // What is refused before the method has no time of its own to tell.
    const trace = progress.trace ?? (open ? undefined : traceCall?.(method, carrier));
    const traceId = trace?.traceId ?? parseTraceparent(carrier.header("traceparent"))?.traceId;
    const ended = { method, system, open, durationMs, clientAddress, peerAddress, caller, tenantId, failure, traceId };
    record(ended);
    trace?.end(ended);
  }

  return { unary, screen, stream, open, openStream, refuse };
}

const endedWell: LastingStream = { refusal: undefined, onEnd: (listener) => listener.ended(endedWell) };

function systemOf(carrier: Carrier): RpcSystem {
  return carrier.header("content-type")?.startsWith("application/grpc") ? "grpc" : "connectrpc";
}

function tooManyStreams(): IchorError {
  return new IchorError("TOO_MANY_STREAMS", "too many streams are open", { retryAfterMs: 1_000 });
}

/** What a call may take, in ms. Throws DEADLINE_EXCEEDED if it is nothing, and what the client's going aborts with. */
function timeLeft(carrier: Carrier, timeoutMsMax: number): number {
  const timeoutMs = Math.min(carrier.timeoutMs() ?? timeoutMsMax, timeoutMsMax);
  if (timeoutMs <= 0) throw deadlineExceeded();
  if (hasGone(carrier)) throw carrier.signal.reason;
  return timeoutMs;
}

/** Gives the work's answer; at the deadline it rejects with DEADLINE_EXCEEDED and aborts what the work still does. */
function withinDeadline<T>(work: Promise<T>, lifetime: CallLifetime, timeoutMs: number): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => {
      const reason = deadlineExceeded();
      lifetime.abort(reason);
      reject(reason);
    }, timeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function hasGone(carrier: Carrier): boolean {
  return carrier.aborted ?? carrier.signal.aborted;
}
