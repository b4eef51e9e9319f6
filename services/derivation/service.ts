import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { type Registration, scopedService } from "../rpc/method-registry.ts";
import type { DerivationDeps } from "./deps.ts";
import { deriveToken } from "./derive-token.ts";
import { getKeySet } from "./get-key-set.ts";
import { verifyToken } from "./verify-token.ts";
import { ackKeySet, watchKeySet } from "./watch-key-set.ts";

/** DerivationService on its ports, ready to be registered. */
export function derivationService(deps: DerivationDeps): Registration {
  return scopedService(DerivationService, {
    deriveToken: deriveToken(deps),
    verifyToken: verifyToken(deps),
    getKeySet: getKeySet(deps),
    watchKeySet: watchKeySet(deps),
    ackKeySet: ackKeySet(deps),
  });
}
