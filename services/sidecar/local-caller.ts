import type { Caller } from "../core/caller.ts";
import { idFromBytes, parseId } from "../core/ids.ts";

const nil = new Uint8Array(16);

/**
 * Who calls a side-car: whoever reaches it, without a credential, to verify and nothing else. Named by an id of zeros in
 * the log.
 */
export function localCaller(tenantId: string | undefined): Caller {
  return {
    keyId: idFromBytes("key", nil),
    tenantId: parseId("ten", tenantId ?? "") ?? idFromBytes("ten", nil),
    inDefaultTenant: false,
    scopes: ["ichor:keys:verify", "ichor:tokens:verify"],
    kind: "ISSUED_KEY",
  };
}
