import { SelfService } from "../../gen/ichor/v1/self_service_pb.ts";
import { type Registration, scopedService } from "../rpc/method-registry.ts";
import type { SelfDeps } from "./deps.ts";
import { getSelf } from "./get-self.ts";
import { revokeSelf } from "./revoke-self.ts";
import { revokeOwnToken } from "./revoke-token.ts";
import { rotateSelf } from "./rotate-self.ts";

/** SelfService on its ports, ready to be registered. */
export function selfService(deps: SelfDeps): Registration {
  return scopedService(SelfService, {
    getSelf: getSelf(deps),
    rotateSelf: rotateSelf(deps),
    revokeSelf: revokeSelf(deps),
    revokeToken: revokeOwnToken(deps),
  });
}
