import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { type Registration, scopedService } from "../rpc/method-registry.ts";
import { ackKeySet, watchKeySet } from "../subscribers/watch-key-set.ts";
import type { DerivationDeps } from "./deps.ts";
import { deriveToken } from "./derive-token.ts";
import { getKeySet } from "./get-key-set.ts";
import { storedKeySets } from "./stored-key-sets.ts";
import { verifyToken } from "./verify-token.ts";

/** DerivationService on its ports, ready to be registered. */
export function derivationService(deps: DerivationDeps): Registration {
  const keySets = storedKeySets(deps);
  return scopedService(DerivationService, {
    deriveToken: deriveToken(deps),
    verifyToken: verifyToken(deps),
    getKeySet: getKeySet(deps),
    watchKeySet: watchKeySet(keySets),
    ackKeySet: ackKeySet(keySets),
  });
}
