import type { Caller } from "../core/caller.ts";
import type { TenantId } from "../core/ids.ts";
import type { Call } from "./call.ts";
import type { CallLifetime } from "./call-lifetime.ts";

/** A call that has passed every check. Its signal is made only if the method asks for it. */
export class AdmittedCall implements Call {
  readonly method: string;
  readonly caller: Caller;
  readonly tenantId: TenantId;
  readonly clientAddress: string;
  readonly #lifetime: CallLifetime;
  readonly #endMs: number;
  readonly #monotonicMs: () => number;

  constructor(
    method: string,
    caller: Caller,
    tenantId: TenantId,
    clientAddress: string,
    lifetime: CallLifetime,
    endMs: number,
    monotonicMs: () => number,
  ) {
    this.method = method;
    this.caller = caller;
    this.tenantId = tenantId;
    this.clientAddress = clientAddress;
    this.#lifetime = lifetime;
    this.#endMs = endMs;
    this.#monotonicMs = monotonicMs;
  }

  remainingMs(): number {
    return this.#endMs - this.#monotonicMs();
  }

  get signal(): AbortSignal {
    return this.#lifetime.signal;
  }
}
