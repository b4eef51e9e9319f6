import { createHash } from "node:crypto";
import { setImmediate as nextTurn } from "node:timers/promises";
import { sizeDelimitedEncode } from "@bufbuild/protobuf/wire";
import { type WatchKeySetResponse, WatchKeySetResponseSchema } from "../../gen/ichor/v1/key_set_pb.ts";
import { IchorError } from "../core/errors.ts";
import type { TenantId } from "../core/ids.ts";
import type { Frame } from "../rpc/frame.ts";
import { heartbeatMs } from "../subscribers/open-streams.ts";
import type { KeySetHub } from "./key-set-hub.ts";

/** A tenant's public feed as of a moment: what WatchKeySet tells who begins, signed, as bytes. */
export interface SignedKeySet {
  readonly bytes: Uint8Array;
  /** Another one for other bytes. */
  readonly tag: string;
  /** How long others get the same, in ms, from when it was made. */
  readonly keptMs: number;
}

export interface SignedKeySetsDeps {
  readonly hub: Pick<KeySetHub, "signedSnapshot">;
  /** Calls back once after so many ms and gives what cancels that. */
  readonly schedule: (callback: () => void, delayMs: number) => () => void;
}

/** Public feeds as bytes, made and signed once for all who ask within the time between two heartbeats. */
export class SignedKeySets {
  readonly #deps: SignedKeySetsDeps;
  readonly #kept = new Map<TenantId, Promise<SignedKeySet>>();

  constructor(deps: SignedKeySetsDeps) {
    this.#deps = deps;
  }

  /** Rejects with TENANT_NOT_FOUND, STORE_UNAVAILABLE, and SECRET_NOT_LOADED if there is no feed key to sign with. */
  of(tenantId: TenantId): Promise<SignedKeySet> {
    const kept = this.#kept.get(tenantId);
    if (kept !== undefined) return kept;
    const { hub, schedule } = this.#deps;
    const making = hub.signedSnapshot(tenantId).then(bytesOf);
    this.#kept.set(tenantId, making);
    const forget = () => void this.#kept.delete(tenantId);
    making.then(() => schedule(forget, heartbeatMs), forget);
    return making;
  }
}

/** Others have their turn between the parts, which are encoded here. */
async function bytesOf(frames: Iterable<Frame>): Promise<SignedKeySet> {
  const events: Uint8Array[] = [];
  let last: WatchKeySetResponse | undefined;
  for (const { message } of frames) {
    last = message as WatchKeySetResponse;
    events.push(sizeDelimitedEncode(WatchKeySetResponseSchema, last));
    await nextTurn();
  }
  if (last?.signature.length === 0) throw new IchorError("SECRET_NOT_LOADED", "no feed key can be opened here");
  // The signature, in the last one, says which parts were told, and in which order.
  const tag = createHash("sha256");
  for (const event of [...events.slice(0, 3), ...events.slice(-1)]) tag.update(event);
  return { bytes: Buffer.concat(events), tag: tag.digest("base64url"), keptMs: heartbeatMs };
}
