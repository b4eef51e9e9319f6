import type {
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type { Caller } from "../core/caller.ts";
import type { Eventual } from "../core/eventual.ts";
import type { TenantId } from "../core/ids.ts";
import type { CertifiedPeer } from "./certified-peer.ts";
import type { Frame } from "./frame.ts";

/**
 * What a transport hands to the pipeline. Both the connect-node adapter and the fast unary path make one, so that a
 * method can't tell them apart. Getters may be lazy: a call that asks for nothing costs nothing.
 */
export interface Carrier {
  /** A request header by its lower-case name. */
  header(name: string): string | undefined;
  /** Address of the peer of the connection, without port; empty if there is none (in memory). */
  readonly peerAddress: string;
  /** Whom the connection's client certificate names, if it has a verified one. */
  readonly certified?: CertifiedPeer | undefined;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  /** What `signal.aborted` says, for a transport that can tell without making a signal. */
  readonly aborted?: boolean;
  /** Calls back once when nothing can be sent any more, at once if that is so; for less than a signal takes. */
  onClose(callback: () => void): void;
  /** What the client's deadline leaves, in ms; undefined: none was given. */
  timeoutMs(): number | undefined;
}

/** Who calls what, and from where, after authentication and authorisation. */
export interface CallFacts {
  /** Full method name, as `ichor.v1.AdminService/IssueApiKey`. */
  readonly method: string;
  readonly caller: Caller;
  /** The tenant to act in: the caller's, or the one that `Ichor-Tenant` names. */
  readonly tenantId: TenantId;
  /** Address of the client: the peer's, or the one for which a trusted proxy asks; empty: unknown. */
  readonly clientAddress: string;
}

/** What a unary method knows about its call. */
export interface Call extends CallFacts {
  /** Aborts at the deadline, and when the client goes away. */
  readonly signal: AbortSignal;
  /** What is left until the deadline, in ms. */
  remainingMs(): number;
}

/** A unary method: parse, decide, store, convert. Throws IchorError, or rejects with it. */
export type Unary<M extends DescMethodUnary = DescMethodUnary> = (
  request: MessageShape<M["input"]>,
  call: Call,
) => Eventual<MessageInitShape<M["output"]>>;

/** A call whose answer lasts: what let it in may end before it does. */
export interface StreamCall extends CallFacts {
  /** Authenticates and authorises the caller again. Rejects as the call would have been refused. */
  recheck(): Promise<void>;
  /** Calls back once when nothing can be sent any more, at once if that is so: mostly, when the client goes away. */
  onClose(callback: () => void): void;
}

/** Where a streaming method writes its messages. */
export interface FrameSink {
  /** Bytes that the client hasn't taken yet. */
  readonly bufferedBytes: number;
  /** Sends a message, or keeps it until it can be sent: whoever writes bounds what is kept. Nothing if the client is gone. */
  write(frame: Frame): void;
  /** Resolves when little is kept, and when the client is gone. */
  drained(): Promise<void>;
}

/** Is told of the end of a stream. An object, so that one that many streams share costs each nothing. */
export interface EndListener<S> {
  ended(stream: S): void;
}

/** A stream that goes on once its method has begun it. */
export interface LastingStream {
  /** Why its caller was refused meanwhile; undefined: it wasn't. */
  readonly refusal: unknown;
  /** Tells the listener when the stream ends, once, at once if it has. */
  onEnd(listener: EndListener<LastingStream>): void;
}

/**
 * A server-streaming method: resolves when the stream ends well; or when it is begun, with what tells of its end, so that
 * nothing waits for it meanwhile: a suspended method takes more memory than the rest of a stream. Rejects with IchorError.
 */
export type Streaming<M extends DescMethodServerStreaming = DescMethodServerStreaming> = (
  request: MessageShape<M["input"]>,
  call: StreamCall,
  sink: FrameSink,
) => Promise<LastingStream | undefined>;

/** The methods of a service, unary and server-streaming, each under its local name. */
export type ScopedMethods<S extends DescService> = {
  [K in keyof S["method"]]: S["method"][K] extends DescMethodUnary
    ? Unary<S["method"][K]>
    : S["method"][K] extends DescMethodServerStreaming
      ? Streaming<S["method"][K]>
      : never;
};
