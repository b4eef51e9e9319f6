import { systemClock } from "./clock.ts";
import { checkOptions, type Settings, type VerifierOptions } from "./options.ts";
import { Verifier } from "./verifier.ts";

const maxStalenessDefault = 30;
const leewayDefault = 30;
const cachedTokensDefault = 10_000;

/**
 * Makes a verifier and begins to follow the key set at once; close it when it is no longer needed. Throws TypeError for
 * options that make no sense.
 */
export function createVerifier({ url = [], ...options }: VerifierOptions): Verifier {
  const settings: Settings = {
    macaroons: true,
    maxStaleness: maxStalenessDefault,
    onStale: "deny",
    leeway: leewayDefault,
    cachedTokensMax: cachedTokensDefault,
    clientName: "ichor-verifier",
    onEvent: () => {},
    onRecordsChanged: () => {},
    clock: systemClock,
    jitter: Math.random,
    ...options,
    urls: [url].flat(),
  };
  checkOptions(settings);
  return new Verifier(settings);
}
