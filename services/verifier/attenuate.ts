import { attenuateMacaroon } from "../core/macaroon/attenuate.ts";
import { writeCaveats } from "../core/macaroon/write-caveats.ts";

/** How a holder narrows a macaroon. What isn't set stays as it is; whatever is set only narrows. */
export interface Narrowing {
  readonly expireTime?: Date;
  readonly notBefore?: Date;
  readonly scopes?: readonly string[];
  readonly audiences?: readonly string[];
  readonly cidrs?: readonly string[];
  readonly contextEquals?: Readonly<Record<string, string>>;
  readonly contextPrefixes?: Readonly<Record<string, string>>;
}

/**
 * Narrows a macaroon, without a server: gives one that allows no more than the given one and what is told. Takes a
 * narrowing, or caveats in their own text. Throws TypeError for what is no macaroon, and for what no caveat can say.
 */
export function attenuate(macaroon: string, narrowing: Narrowing | readonly string[]): string {
  if (isCaveats(narrowing)) return attenuateMacaroon(macaroon, narrowing);
  const { expireTime, notBefore, ...constraints } = narrowing;
  return attenuateMacaroon(macaroon, caveatsOf({ constraints, expireTime, notBefore }));
}

function caveatsOf({
  constraints,
  expireTime,
  notBefore,
}: {
  readonly constraints: Omit<Narrowing, "expireTime" | "notBefore">;
  readonly expireTime: Date | undefined;
  readonly notBefore: Date | undefined;
}): readonly string[] {
  try {
    return writeCaveats({
      ...constraints,
      ...(expireTime && { expireTimeMs: expireTime.getTime() }),
      ...(notBefore && { notBeforeMs: notBefore.getTime() }),
    });
  } catch (cause) {
    throw new TypeError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function isCaveats(narrowing: Narrowing | readonly string[]): narrowing is readonly string[] {
  return Array.isArray(narrowing);
}
