import type { Kind } from "./kinds.ts";

/** One setting: of its name in the configuration file the environment variable follows, see `variableOf`. */
export interface Setting<T> {
  readonly kind: Kind<T>;
  /** What holds if it isn't set, as the reference tells it. */
  readonly fallback: string;
  /** A sentence or two for the reference, where Markdown is allowed. */
  readonly description: string;
  /** Its environment variable, if that doesn't follow from its name alone. */
  readonly variable?: string;
  /** Whether a reload puts a new value into effect; else it needs a restart. */
  readonly reload?: boolean;
  /** Whether nothing starts without it. */
  readonly required?: boolean;
}

/** Settings by name, in the reference's order. */
export type Settings = Readonly<Record<string, Setting<unknown>>>;

/** What a table of settings gives, by setting; undefined: it isn't set. */
export type Given<S extends Settings> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T | undefined : never;
};

/** A row of a table. */
export function setting<T>(
  kind: Kind<T>,
  fallback: string,
  description: string,
  more?: Pick<Setting<T>, "reload" | "variable" | "required">,
): Setting<T> {
  return { kind, fallback, description, ...more };
}

/** The settings of a part, whose variables begin with its name: `listen` of `SIDECAR` is `ICHOR_SIDECAR_LISTEN`. */
export function settingsOf<const S extends Settings>(part: string, settings: S): S {
  const named = Object.entries(settings).map(([name, each]) => {
    return [name, { variable: `ICHOR_${part}_${inCapitals(name)}`, ...each }];
  });
  return Object.fromEntries(named) as S;
}

/** `tlsCertFile` → `ICHOR_TLS_CERT_FILE`, unless the setting has a variable of its own. */
export function variableOf(name: string, { variable }: Pick<Setting<unknown>, "variable"> = {}): string {
  return variable ?? `ICHOR_${inCapitals(name)}`;
}

/** `maxStaleness` → `--max-staleness`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

function inCapitals(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
