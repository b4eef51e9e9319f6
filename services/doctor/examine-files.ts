import { X509Certificate } from "node:crypto";
import { type Stats, statSync } from "node:fs";
import { exposedRights, groupAndOthers } from "../core/file-rights.ts";
import { KeyFileError } from "../keyring/key-file-error.ts";
import { type Finding, fail, messageOf, ok, warn } from "./finding.ts";

const dayMs = 86_400_000;
/** A certificate that ends so soon is to be renewed, in days. */
const renewDays = 14;

/** The folder that a server keeps its files in. */
export function examineDataDir(path: string): Finding {
  const stat = statOf(path);
  if (stat === undefined) return ok("data_dir", `${path} doesn't exist yet: the first start makes it`);
  if (!stat.isDirectory()) return fail("data_dir", `${path} is no folder`, "set ICHOR_DATA_DIR");
  const rights = exposedRights(stat.mode, 0o002);
  if (rights === undefined) return ok("data_dir", `${path} is there`);
  return warn("data_dir", `others may put files into ${path}, which has mode ${rights}`, `chmod o-w ${path}`);
}

/** The root credential of the first start, if it still lies where it was written. */
export function examineRootKeyFile(path: string): readonly Finding[] {
  const stat = statOf(path);
  if (stat === undefined) return [];
  const rights = exposedRights(stat.mode, groupAndOthers);
  if (rights === undefined) return [ok("root_key_file", `${path} is its owner's only`)];
  return [
    fail("root_key_file", `${path} has mode ${rights}: others may read it`, `chmod 600 ${path}, and rotate the key`),
  ];
}

/** The master key file, by what loads it. */
export function examineMasterKeyFile<K>(
  path: string,
  load: () => K,
): { readonly finding: Finding; readonly keys: K | undefined } {
  try {
    return { finding: ok("master_key", `${path} is its owner's only, and sound`), keys: load() };
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error;
    const remedy = "see the operating guide's page on the master key";
    return { finding: fail("master_key", messageOf(error), remedy), keys: undefined };
  }
}

/** The listener's certificate and key, by what loads them. */
export function examineTls(load: (() => { readonly cert: Uint8Array }) | undefined, nowMs: number): Finding {
  if (load === undefined) return ok("tls", "off: the listener speaks cleartext");
  try {
    const { validTo, subject } = new X509Certificate(load().cert);
    const days = Math.floor((Date.parse(validTo) - nowMs) / dayMs);
    const until = `the certificate of ${subject.replaceAll("\n", ", ")} ends on ${new Date(validTo).toISOString()}`;
    if (days < 0) return fail("tls", until, "renew it, and restart the servers");
    return days < renewDays ? warn("tls", until, "renew it, and restart the servers") : ok("tls", until);
  } catch (error) {
    if (!(error instanceof KeyFileError)) throw error;
    return fail("tls", messageOf(error), "see ICHOR_TLS_CERT_FILE and ICHOR_TLS_KEY_FILE");
  }
}

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}
