import { readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { exposedRights, groupAndOthers } from "../core/file-rights.ts";
import { collect, type Environment, Faults } from "./collect.ts";
import type { ConfigFile } from "./config-file.ts";
import { clientSettings, type Given } from "./settings.ts";

/** What the client commands of the CLI run on. Frozen. */
export interface ClientConfig {
  /** Base URL of the server, without trailing slash. */
  readonly url: string;
  readonly credential: string;
  /** Tenant to act on, sent as `Ichor-Tenant`; undefined: the caller's own. */
  readonly tenant: string | undefined;
}

/** Where a profile is: `profile` if it is a path, else the file of that name in the user's configuration folder. */
export function profilePath(profile: string, env: Environment): string {
  if (/[/.]/.test(profile)) return resolve(profile);
  return join(env.XDG_CONFIG_HOME || join(env.HOME ?? "", ".config"), "ichor", `${profile}.yaml`);
}

/**
 * Makes what client commands need of the environment over a profile; the credential file's surrounding white space is cut.
 * Throws ConfigError with every fault.
 */
export function loadClientConfig(env: Environment, profile?: ConfigFile): ClientConfig {
  const faults = new Faults();
  if (profile?.values.has("credential")) {
    faults.add(`${profile.path}: a credential stands in a file of its own: name it as credentialFile`);
  }
  const given = collect(clientSettings, env, profile, faults);
  const credential = readCredential(given, env.ICHOR_DATA_DIR || ".ichor", faults);
  // Whatever can't be in a header would be quoted by the error that says so.
  if (credential !== "" && !headerText.test(credential)) {
    faults.add("the credential has characters that no credential has, as spaces or a second line");
  }
  const { tenant } = given;
  if (tenant !== undefined && !headerText.test(tenant))
    faults.add("ICHOR_TENANT is neither a tenant's id nor its slug");
  faults.throwIfAny();
  return Object.freeze({ url: given.url ?? "http://127.0.0.1:8420", credential, tenant });
}

/** Visible ASCII: what ids and credentials are made of. */
const headerText = /^[\x21-\x7e]+$/;

function readCredential(
  { credential: direct, credentialFile: file }: Given<typeof clientSettings>,
  dataDir: string,
  faults: Faults,
): string {
  if (direct !== undefined && file !== undefined) {
    faults.add("ICHOR_CREDENTIAL and ICHOR_CREDENTIAL_FILE exclude each other");
  }
  if (direct !== undefined) return direct;
  const path = file ?? resolve(dataDir, "root.key");
  try {
    const rights = exposedRights(statSync(path).mode, groupAndOthers);
    if (rights !== undefined) {
      faults.add(`the credential file ${path} has mode ${rights}; it must be its owner's only: chmod 600`);
    }
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    faults.add(
      `no credential: ${path} can't be read (${(error as NodeJS.ErrnoException).code}); set ICHOR_CREDENTIAL_FILE`,
    );
    return "";
  }
}
