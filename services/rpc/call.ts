import type { DescMethodUnary, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { Caller } from "../core/caller.ts";
import type { TenantId } from "../core/ids.ts";

/**
 * What a transport hands to the pipeline. Both the connect-node adapter and the fast unary path make one, so that a
 * method can't tell them apart. Getters may be lazy: a call that asks for nothing costs nothing.
 */
export interface Carrier {
  /** A request header by its lower-case name. */
  header(name: string): string | undefined;
  /** Address of the peer of the connection, without port; empty if there is none (in memory). */
  readonly peerAddress: string;
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
  /** What `signal.aborted` says, for a transport that can tell without making a signal. */
  readonly aborted?: boolean;
  /** What the client's deadline leaves, in ms; undefined: none was given. */
  timeoutMs(): number | undefined;
}

/** What a method knows about its call, after authentication and authorisation. */
export interface Call {
  /** Full method name, as `ichor.v1.AdminService/IssueApiKey`. */
  readonly method: string;
  readonly caller: Caller;
  /** The tenant to act in: the caller's, or the one that `Ichor-Tenant` names. */
  readonly tenantId: TenantId;
  /** Address of the client: the peer's. */
  readonly clientAddress: string;
  /** Aborts at the deadline, and when the client goes away. */
  readonly signal: AbortSignal;
  /** What is left until the deadline, in ms. */
  remainingMs(): number;
}

/** A unary method: parse, decide, store, convert. Throws IchorError. */
export type Unary<M extends DescMethodUnary = DescMethodUnary> = (
  request: MessageShape<M["input"]>,
  call: Call,
) => Promise<MessageInitShape<M["output"]>>;

/** The unary methods of a service, each under its local name. */
export type UnaryMethods<S extends DescService> = {
  [K in keyof S["method"]]: S["method"][K] extends DescMethodUnary ? Unary<S["method"][K]> : never;
};
