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
  const applied: ServerSetting[] = [];
  const needRestart: ServerSetting[] = [];
  const config: Record<string, unknown> = { ...running };
  for (const [name, { reload }] of Object.entries(serverSettings) as [ServerSetting, Setting<unknown>][]) {
    if (reload !== true) {
      if (!isDeepStrictEqual(running.given[name], read.given[name])) needRestart.push(name);
      continue;
    }
    // The configuration has such settings under their own names; a test holds that.
    const value = read[name as keyof ServerConfig];
    if (isDeepStrictEqual(config[name], value)) continue;
    config[name] = value;
    applied.push(name);
  }
  return { config: Object.freeze(config) as unknown as ServerConfig, applied, needRestart };
}
