import type { JsonObject } from "../api-key.ts";
import { isPortableJson } from "../canonical-json.ts";
import type { FieldViolations } from "../field-violations.ts";
import { reservedClaims } from "./reserved-claims.ts";

/** Most bytes of all custom claims together, as JSON in UTF-8. */
export const customClaimsBytesMax = 4096;

/**
 * Notes what is wrong with custom claims, by their path below `custom_claims`.
 *
 * @param allowedNames those that the key's derive policy lists; "any" for an admin caller
 */
export function checkCustomClaims(
  violations: FieldViolations,
  customClaims: JsonObject,
  allowedNames: readonly string[] | "any",
): void {
  const portable = isPortableJson(customClaims);
  if (!violations.require(portable, "custom_claims", "has a number or a text that JSON can't carry")) return;
  const bytes = Buffer.byteLength(JSON.stringify(customClaims));
  violations.require(
    bytes <= customClaimsBytesMax,
    "custom_claims",
    `must have at most ${customClaimsBytesMax} bytes as JSON`,
  );
  for (const name of Object.keys(customClaims)) {
    const field = claimField(name);
    if (reservedClaims.has(name)) violations.add(field, "is a reserved claim");
    else if (name === "") violations.add(field, "has no name");
    else if (allowedNames !== "any" && !allowedNames.includes(name)) {
      violations.add(field, "is not a claim that the key's derive policy lets its holder set");
    }
  }
}

function claimField(name: string): string {
  return /^\w{1,64}$/.test(name) ? `custom_claims.${name}` : `custom_claims[${JSON.stringify(name.slice(0, 64))}]`;
}
