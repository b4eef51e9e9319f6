import { resolve } from "node:path";
import type { Faults } from "./collect.ts";
import { type Given, type Settings, variableOf } from "./setting.ts";
import type { listenerTlsSettings } from "./shared-settings.ts";

/** Paths of what a listener needs for TLS. */
export interface ListenerTlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** undefined: clients aren't asked for a certificate. */
  readonly clients: { readonly caFile: string; readonly required: boolean } | undefined;
}

/** Puts a listener's settings of TLS together; undefined: cleartext. What doesn't go together goes to `faults`. */
export function listenerTlsOf(
  settings: Settings,
  given: Given<typeof listenerTlsSettings>,
  faults: Faults,
): ListenerTlsFiles | undefined {
  const { tlsCertFile: certFile, tlsKeyFile: keyFile, tlsClientCaFile: caFile, tlsClientAuth } = given;
  const named = (name: keyof typeof listenerTlsSettings) => variableOf(name, settings[name]);
  if ((certFile === undefined) !== (keyFile === undefined)) {
    faults.add(`${named("tlsCertFile")} and ${named("tlsKeyFile")} go together`);
  }
  if (caFile !== undefined && certFile === undefined) {
    faults.add(`${named("tlsClientCaFile")} needs ${named("tlsCertFile")}`);
  }
  if (caFile === undefined && tlsClientAuth !== undefined) {
    faults.add(`${named("tlsClientAuth")} needs ${named("tlsClientCaFile")}`);
  }
  if (certFile === undefined || keyFile === undefined) return undefined;
  const clients =
    caFile === undefined ? undefined : { caFile: resolve(caFile), required: tlsClientAuth !== "optional" };
  return { certFile: resolve(certFile), keyFile: resolve(keyFile), clients };
}
