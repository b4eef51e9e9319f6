import { networkCovers, parseNetwork } from "./cidr.ts";
import type { Constraints } from "./constraints.ts";
import { coversAll, intersectScopes } from "./scopes.ts";

// Law 2: a child is never wider than its parent. What a key, a JWT or a macaroon allows is one model, `Constraints`, and
// these are the only two functions that compare or combine two of them. Widening by construction is impossible for who
// makes a child as `intersect(parent, demand)`.

/**
 * Gives what both allow: a request satisfies the result if and only if it satisfies `a` and satisfies `b`. Two demands
 * on the context that contradict each other give one that no request satisfies; see {@link allowsNothing}.
 */
export function intersect(a: Constraints, b: Constraints): Constraints {
  const both: { -readonly [K in keyof Constraints]: Constraints[K] } = {};
  const notBeforeMs = Math.max(a.notBeforeMs ?? Number.NEGATIVE_INFINITY, b.notBeforeMs ?? Number.NEGATIVE_INFINITY);
  if (notBeforeMs !== Number.NEGATIVE_INFINITY) both.notBeforeMs = notBeforeMs;
  const expireTimeMs = Math.min(a.expireTimeMs ?? Number.POSITIVE_INFINITY, b.expireTimeMs ?? Number.POSITIVE_INFINITY);
  if (expireTimeMs !== Number.POSITIVE_INFINITY) both.expireTimeMs = expireTimeMs;
  const audiences = meet(a.audiences, b.audiences, intersectAudiences);
  if (audiences) both.audiences = audiences;
  const scopes = meet(a.scopes, b.scopes, intersectScopes);
  if (scopes) both.scopes = scopes;
  const cidrs = meet(a.cidrs, b.cidrs, intersectNetworks);
  if (cidrs) both.cidrs = cidrs;
  meetContexts(both, a, b);
  return both;
}

/**
 * Whether every request that `child` allows is one that `parent` allows. Never true for a wider child. It may be false
 * for a narrower one only where several networks of the parent together cover one of the child.
 */
export function isNarrower(child: Constraints, parent: Constraints): boolean {
  return allowsNothing(child) || widerFields(child, parent).length === 0;
}

/** Gives the fields in which `child` allows what `parent` doesn't, each compared on its own. */
export function widerFields(child: Constraints, parent: Constraints): readonly (keyof Constraints)[] {
  const { notBeforeMs, expireTimeMs, audiences, scopes, cidrs } = parent;
  const narrower: Record<keyof Constraints, boolean> = {
    notBeforeMs: notBeforeMs === undefined || (child.notBeforeMs ?? Number.NEGATIVE_INFINITY) >= notBeforeMs,
    expireTimeMs: expireTimeMs === undefined || (child.expireTimeMs ?? Number.POSITIVE_INFINITY) <= expireTimeMs,
    audiences: audiences === undefined || child.audiences?.every((audience) => audiences.includes(audience)) === true,
    scopes: scopes === undefined || (child.scopes !== undefined && coversAll(scopes, child.scopes)),
    cidrs: cidrs === undefined || child.cidrs?.every((cidr) => inOneOf(cidr, cidrs)) === true,
    contextEquals: Object.entries(parent.contextEquals ?? {}).every(
      ([name, value]) => own(child.contextEquals, name) === value,
    ),
    contextPrefixes: Object.entries(parent.contextPrefixes ?? {}).every(
      ([name, prefix]) =>
        own(child.contextEquals, name)?.startsWith(prefix) || own(child.contextPrefixes, name)?.startsWith(prefix),
    ),
  };
  return (Object.keys(narrower) as (keyof Constraints)[]).filter((field) => !narrower[field]);
}

/**
 * Whether no request at any time can satisfy the constraints: a time span, a list of audiences or of networks that is
 * empty, or a name in the context that would need two values. An empty list of scopes isn't that: it allows what needs none.
 */
export function allowsNothing(constraints: Constraints): boolean {
  const { notBeforeMs, expireTimeMs, audiences, cidrs, contextEquals = {}, contextPrefixes } = constraints;
  if (notBeforeMs !== undefined && expireTimeMs !== undefined && notBeforeMs >= expireTimeMs) return true;
  if (audiences?.length === 0 || cidrs?.length === 0) return true;
  return Object.entries(contextEquals).some(([name, value]) => !value.startsWith(own(contextPrefixes, name) ?? ""));
}

function meet<T>(a: T | undefined, b: T | undefined, both: (a: T, b: T) => T): T | undefined {
  return a === undefined ? b : b === undefined ? a : both(a, b);
}

function intersectAudiences(a: readonly string[], b: readonly string[]): readonly string[] {
  return a.filter((audience) => b.includes(audience));
}

/** Networks are nested or disjoint, as CIDR has it: what two have in common is the narrower one, or nothing. */
function intersectNetworks(a: readonly string[], b: readonly string[]): readonly string[] {
  const inBoth = [...a.filter((cidr) => inOneOf(cidr, b)), ...b.filter((cidr) => inOneOf(cidr, a))];
  return [...new Set(inBoth)];
}

/** A network that can't be read contains no address, so it is in any other and never covers one. */
function inOneOf(cidr: string, cidrs: readonly string[]): boolean {
  const network = parseNetwork(cidr);
  if (network === undefined) return false;
  return cidrs.some((other) => {
    const wider = parseNetwork(other);
    return wider !== undefined && networkCovers(wider, network);
  });
}

type Context = Readonly<Record<string, string>>;

function meetContexts(
  both: { contextEquals?: Context; contextPrefixes?: Context },
  a: Constraints,
  b: Constraints,
): void {
  // Most pairs have rules on one side only: they stay as they are.
  const one = !b.contextEquals && !b.contextPrefixes ? a : !a.contextEquals && !a.contextPrefixes ? b : undefined;
  if (one) {
    if (one.contextEquals) both.contextEquals = one.contextEquals;
    if (one.contextPrefixes) both.contextPrefixes = one.contextPrefixes;
    return;
  }
  const contexts = [a.contextEquals, b.contextEquals, a.contextPrefixes, b.contextPrefixes];
  const names = new Set<string>();
  for (const context of contexts) if (context) for (const name of Object.keys(context)) names.add(name);
  const equals: Record<string, string> = {};
  const prefixes: Record<string, string> = {};
  for (const name of names) {
    const rule = meetRules(
      valuesOf(name, a.contextEquals, b.contextEquals),
      valuesOf(name, a.contextPrefixes, b.contextPrefixes),
    );
    if (rule.equals !== undefined) equals[name] = rule.equals;
    if (rule.prefix !== undefined) prefixes[name] = rule.prefix;
  }
  if (Object.keys(equals).length > 0) both.contextEquals = equals;
  if (Object.keys(prefixes).length > 0) both.contextPrefixes = prefixes;
}

/**
 * The one rule for a name that says as much as all of these together. Contradictions are kept as a value that doesn't
 * begin with the prefix that it must begin with, so that no further rule can undo them. Each list is sorted by length.
 */
function meetRules(values: readonly string[], prefixes: readonly string[]): { equals?: string; prefix?: string } {
  const [value, ...others] = values;
  const longestValue = others.at(-1);
  if (value !== undefined && longestValue !== undefined) return { equals: value, prefix: longestValue };
  const longest = value ?? prefixes.at(-1) ?? "";
  const unmet = prefixes.find((prefix) => !longest.startsWith(prefix));
  if (value !== undefined) return unmet === undefined ? { equals: value } : { equals: value, prefix: unmet };
  return unmet === undefined ? { prefix: longest } : { equals: unmet, prefix: longest };
}

function valuesOf(name: string, a: Context | undefined, b: Context | undefined): readonly string[] {
  const values = [own(a, name), own(b, name)].filter((value) => value !== undefined);
  return [...new Set(values)].sort((x, y) => x.length - y.length);
}

/** A context name may be `constructor`: only own members count. */
function own(context: Context | undefined, name: string): string | undefined {
  return context !== undefined && Object.hasOwn(context, name) ? context[name] : undefined;
}
