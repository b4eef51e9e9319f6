import { parseNetwork } from "../cidr.ts";
import { type Constraints, isContextName, isContextValue } from "../constraints.ts";

/** The claim `cst`: what no registered claim can say. At least one member. */
export interface ConstraintsClaim {
  readonly cidrs?: readonly string[];
  readonly context_equals?: Readonly<Record<string, string>>;
  readonly context_prefixes?: Readonly<Record<string, string>>;
}

type ClaimedConstraints = Pick<Constraints, "cidrs" | "contextEquals" | "contextPrefixes">;

/** Gives the claim for what of the constraints other claims don't say; undefined if that is nothing. */
export function writeConstraintsClaim({
  cidrs,
  contextEquals,
  contextPrefixes,
}: Constraints): ConstraintsClaim | undefined {
  const claim: ConstraintsClaim = {
    ...(cidrs && { cidrs }),
    ...(contextEquals && { context_equals: contextEquals }),
    ...(contextPrefixes && { context_prefixes: contextPrefixes }),
  };
  return Object.keys(claim).length === 0 ? undefined : claim;
}

/** Reads the claim; undefined if it has a member that we don't know, a malformed one, or none. */
export function readConstraintsClaim(value: unknown): ClaimedConstraints | undefined {
  if (!isObject(value)) return undefined;
  const { cidrs, context_equals, context_prefixes, ...unknown } = value;
  if (Object.keys(unknown).length > 0 || Object.keys(value).length === 0) return undefined;
  if (cidrs !== undefined && !isCidrs(cidrs)) return undefined;
  if (context_equals !== undefined && !isContext(context_equals)) return undefined;
  if (context_prefixes !== undefined && !isContext(context_prefixes)) return undefined;
  return {
    ...(cidrs && { cidrs }),
    ...(context_equals && { contextEquals: context_equals }),
    ...(context_prefixes && { contextPrefixes: context_prefixes }),
  };
}

export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCidrs(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((cidr) => typeof cidr === "string" && parseNetwork(cidr) !== undefined);
}

function isContext(value: unknown): value is Readonly<Record<string, string>> {
  if (!isObject(value)) return false;
  return Object.entries(value).every(
    ([name, text]) => isContextName(name) && typeof text === "string" && isContextValue(text),
  );
}
