import { isIP } from "node:net";
import { resolve } from "node:path";
import type { GatewayRoutes } from "../core/gateway-route.ts";
import { collect, Faults, type Sources } from "./collect.ts";
import { readConfigFile } from "./config-file.ts";
import { readCredentialFile } from "./credential-file.ts";
import type { ListenAddress } from "./kinds.ts";
import { type ListenerTlsFiles, listenerTlsOf } from "./listener-tls.ts";
import { readRoutesFile } from "./routes-file.ts";
import { flagOf, type Given, variableOf } from "./setting.ts";
import { configFileVariable } from "./settings.ts";
import type { LogLevel } from "./shared-settings.ts";
import { sidecarSettings } from "./sidecar-settings.ts";

/** Paths of what a client needs for TLS. */
export interface ClientTlsFiles {
  /** undefined: the system's authorities. */
  readonly caFile: string | undefined;
  /** undefined: no certificate is shown. */
  readonly own: { readonly certFile: string; readonly keyFile: string } | undefined;
}

type GivenSettings = Given<typeof sidecarSettings>;

/** What `ichor sidecar` runs on: its settings by their own names, with what holds where none is set. Frozen. */
export interface SidecarConfig
  extends Omit<GivenSettings, "upstream" | "maxStaleness" | "listen" | "logLevel" | "traceSampleRatio" | "routes"> {
  readonly upstream: string;
  /** The side-car's own key. */
  readonly credential: string;
  /** In seconds. */
  readonly maxStaleness: number;
  readonly listen: ListenAddress | { readonly path: string };
  readonly logLevel: LogLevel;
  readonly traceSampleRatio: number;
  /** What gateways' routes ask; undefined: each question says it. */
  readonly routes: GatewayRoutes | undefined;
  /** undefined: cleartext. */
  readonly tls: ListenerTlsFiles | undefined;
  /** Paths of what the connection to the server needs; undefined: nothing but the system's authorities. */
  readonly upstreamTls: ClientTlsFiles | undefined;
  /** Where it is followed by others; undefined: nowhere. */
  readonly relay: { readonly listen: ListenAddress; readonly tls: ListenerTlsFiles | undefined } | undefined;
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
  const routes = given.routes === undefined ? undefined : await readRoutesFile(given.routes, faults);
  const tls = listenerTlsOf(sidecarSettings, given, faults);
  const upstreamTls = upstreamTlsOf(given, faults);
  const relay = relayOf(given, faults);
  if ("host" in listen && !isLoopback(listen.host) && given.allowRemote !== true && tls?.clients?.required !== true) {
    faults.add(
      `${listen.host} isn't loopback, and a side-car asks its callers for no credential: ask for their certificates ` +
        `(${flagOf("tlsClientCaFile")}), or give ${flagOf("allowRemote")} if all who reach it may verify`,
    );
  }
  if ((given.feedKeys === undefined) !== (given.issuer === undefined)) {
    faults.add(`${flagOf("feedKeys")} and ${flagOf("issuer")} go together`);
  }
  faults.throwIfAny();
  const { maxStaleness = 30, logLevel = "info", traceSampleRatio = 1 } = given;
  const made = {
    upstream,
    credential,
    maxStaleness,
    listen,
    logLevel,
    traceSampleRatio,
    routes,
    tls,
    upstreamTls,
    relay,
  };
  return Object.freeze({ ...given, ...made, given: Object.freeze(given) });
}

function upstreamTlsOf(given: GivenSettings, faults: Faults): ClientTlsFiles | undefined {
  const { upstream, upstreamCaFile: caFile, upstreamCertFile: certFile, upstreamKeyFile: keyFile } = given;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    faults.add(`${flagOf("upstreamCertFile")} and ${flagOf("upstreamKeyFile")} go together`);
  }
  if ((caFile ?? certFile ?? keyFile) === undefined) return undefined;
  if (upstream?.startsWith("http:")) faults.add(`${flagOf("upstream")} must be https:// if certificates matter`);
  const own = certFile && keyFile ? { certFile: resolve(certFile), keyFile: resolve(keyFile) } : undefined;
  return { caFile: caFile && resolve(caFile), own };
}

function relayOf(given: GivenSettings, faults: Faults): SidecarConfig["relay"] {
  const { relayListen: listen, relayTlsCertFile: certFile, relayTlsKeyFile: keyFile } = given;
  if ((certFile === undefined) !== (keyFile === undefined)) {
    faults.add(`${flagOf("relayTlsCertFile")} and ${flagOf("relayTlsKeyFile")} go together`);
  }
  if (listen === undefined) {
    if ((certFile ?? keyFile) !== undefined) faults.add(`${flagOf("relayTlsCertFile")} needs ${flagOf("relayListen")}`);
    return undefined;
  }
  const files = certFile && keyFile ? { certFile: resolve(certFile), keyFile: resolve(keyFile) } : undefined;
  return { listen, tls: files && { ...files, clients: undefined } };
}

/** Names aren't looked up, but for the one that always means this machine. */
function isLoopback(host: string): boolean {
  if (host === "localhost" || host === "::1") return true;
  return isIP(host) === 4 && host.startsWith("127.");
}
