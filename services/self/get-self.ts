import type { SelfService } from "../../gen/ichor/v1/self_service_pb.ts";
import { effectiveScopes } from "../core/verification.ts";
import type { Unary } from "../rpc/call.ts";
import { apiKeyToProto } from "../wire/api-key.ts";
import type { SelfDeps } from "./deps.ts";
import { ownKey } from "./own-key.ts";

/** GetSelf: what the caller is, may do, and presented. It tells the stored key, as GetApiKey does: use is counted there. */
export function getSelf({ store, now }: Pick<SelfDeps, "store" | "now">): Unary<typeof SelfService.method.getSelf> {
  return async (_request, call) => {
    const { key: presented, version } = ownKey(call);
    const key = (await store.getKey(presented.id)) ?? presented;
    return {
      apiKey: apiKeyToProto(key, now()),
      secretVersionId: String(version.number),
      scopes: [...effectiveScopes(key)],
    };
  };
}
