import { isDeepStrictEqual } from "node:util";
import type { Given, Setting, Settings } from "./setting.ts";

/** A configuration with what was set, from which the rest is made. Settings that a reload may change have their own name in it. */
export interface Reloadable<S extends Settings> {
  readonly given: Given<S>;
}

/** What becomes of a running process's configuration when it is read again. */
export interface Reloaded<C> {
  /** The configuration from now on: the old one with what a reload may change. */
  readonly config: C;
  /** Settings that were changed, and take effect. */
  readonly applied: readonly string[];
  /** Settings that were changed, and take effect with the next start only. */
  readonly needRestart: readonly string[];
}

/** Compares a configuration with one that was read later. */
export function reloaded<S extends Settings, C extends Reloadable<S>>(settings: S, running: C, read: C): Reloaded<C> {
  const applied: string[] = [];
  const needRestart: string[] = [];
  const config = { ...running } as Record<string, unknown>;
  for (const [name, { reload }] of Object.entries<Setting<unknown>>(settings)) {
    if (reload !== true) {
      if (!isDeepStrictEqual(running.given[name], read.given[name])) needRestart.push(name);
      continue;
    }
    // A test holds that the configuration has such settings under their own names.
    const value = ({ ...read } as Readonly<Record<string, unknown>>)[name];
    if (isDeepStrictEqual(config[name], value)) continue;
    config[name] = value;
    applied.push(name);
  }
  return { config: Object.freeze(config) as unknown as C, applied, needRestart };
}
