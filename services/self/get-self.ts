import type { SelfService } from "../../gen/ichor/v1/self_service_pb.ts";
import { effectiveScopes } from "../core/verification.ts";
import type { Unary } from "../rpc/call.ts";
import { apiKeyToProto } from "../wire/api-key.ts";
import type { SelfDeps } from "./deps.ts";
import { ownKey } from "./own-key.ts";

/** GetSelf: what the caller is, may do, and presented. */
export function getSelf({ now }: Pick<SelfDeps, "now">): Unary<typeof SelfService.method.getSelf> {
  return async (_request, call) => {
    const { key, version } = ownKey(call);
    return {
      apiKey: apiKeyToProto(key, now()),
      secretVersionId: String(version.number),
      scopes: [...effectiveScopes(key)],
    };
  };
}
