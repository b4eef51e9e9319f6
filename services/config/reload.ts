import { isDeepStrictEqual } from "node:util";
import type { ServerConfig } from "./server-config.ts";
import { type ServerSetting, type Setting, serverSettings } from "./settings.ts";

/** What becomes of a server's configuration when it is read again. */
export interface Reloaded {
  /** The configuration from now on: the old one with what a reload may change. */
  readonly config: ServerConfig;
  /** Settings that were changed, and take effect. */
  readonly applied: readonly ServerSetting[];
  /** Settings that were changed, and take effect with the next start only. */
  readonly needRestart: readonly ServerSetting[];
}

/** Compares a configuration with one that was read later. */
export function reloaded(running: ServerConfig, read: ServerConfig): Reloaded {
  const changed = (Object.keys(serverSettings) as ServerSetting[]).filter(
    (name) => !isDeepStrictEqual(running.given[name], read.given[name]),
  );
  const isLive = (name: ServerSetting) => (serverSettings[name] as Setting<unknown>).reload === true;
  const applied = changed.filter(isLive);
  const config: Record<string, unknown> = { ...running };
  const given: Record<string, unknown> = { ...running.given };
  for (const name of applied) {
    // The configuration has such settings under their own names; a test holds that.
    config[name] = read[name as keyof ServerConfig];
    given[name] = read.given[name];
  }
  return {
    config: Object.freeze({ ...config, given: Object.freeze(given) }) as unknown as ServerConfig,
    applied,
    needRestart: changed.filter((name) => !isLive(name)),
  };
}
