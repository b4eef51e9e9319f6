import { isIP } from "node:net";
import { collect, Faults, type Sources } from "./collect.ts";
import { readConfigFile } from "./config-file.ts";
import { readCredentialFile } from "./credential-file.ts";
import type { ListenAddress } from "./kinds.ts";
import { flagOf, type Given, variableOf } from "./setting.ts";
import { configFileVariable } from "./settings.ts";
import type { LogLevel } from "./shared-settings.ts";
import { sidecarSettings } from "./sidecar-settings.ts";

type GivenSettings = Given<typeof sidecarSettings>;

/** What `ichor sidecar` runs on: its settings by their own names, with what holds where none is set. Frozen. */
export interface SidecarConfig extends Omit<GivenSettings, "upstream" | "maxStaleness" | "listen" | "logLevel"> {
  readonly upstream: string;
  /** The side-car's own key. */
  readonly credential: string;
  /** In seconds. */
  readonly maxStaleness: number;
  readonly listen: ListenAddress | { readonly path: string };
  readonly logLevel: LogLevel;
  /** What was set, from which the rest is made: to compare with a later reading. */
  readonly given: GivenSettings;
}

/**
 * Reads the side-car's configuration: flags over the environment over the file that it names. Rejects with ConfigError
 * with every fault.
 *
 * @param flags by setting, as text
 */
export async function readSidecarConfig({ flags, env }: Omit<Sources, "file">): Promise<SidecarConfig> {
  const path = env[configFileVariable];
  const file = path ? await readConfigFile(path) : undefined;
  const faults = new Faults();
  const given = collect(sidecarSettings, { flags, env, file }, faults);
  const { credentialFile, upstream = "", listen = { host: "127.0.0.1", port: 8421 } } = given;
  const named = variableOf("credentialFile", sidecarSettings.credentialFile);
  const credential = credentialFile === undefined ? "" : readCredentialFile(credentialFile, named, faults);
  if ("host" in listen && given.allowRemote !== true && !isLoopback(listen.host)) {
    faults.add(
      `${listen.host} isn't loopback, and a side-car asks its callers for no credential: give ${flagOf("allowRemote")} if all who reach it may verify`,
    );
  }
  faults.throwIfAny();
  const { maxStaleness = 30, logLevel = "info" } = given;
  return Object.freeze({ ...given, upstream, credential, maxStaleness, listen, logLevel, given: Object.freeze(given) });
}

/** Names aren't looked up, but for the one that always means this machine. */
function isLoopback(host: string): boolean {
  if (host === "localhost" || host === "::1") return true;
  return isIP(host) === 4 && host.startsWith("127.");
}
