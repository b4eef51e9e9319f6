import { join, resolve } from "node:path";
import { collect, type Environment, Faults } from "./collect.ts";
import type { ConfigFile } from "./config-file.ts";
import { badCredential, isHeaderText, readCredentialFile } from "./credential-file.ts";
import { type Given, variableOf } from "./setting.ts";
import { clientSettings } from "./settings.ts";

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
  const given = collect(clientSettings, { env, file: profile }, faults);
  const credential = credentialOf(given, env.ICHOR_DATA_DIR || ".ichor", faults);
  const { tenant } = given;
  if (tenant !== undefined && !isHeaderText(tenant)) faults.add("ICHOR_TENANT is neither a tenant's id nor its slug");
  faults.throwIfAny();
  return Object.freeze({ url: given.url ?? "http://127.0.0.1:8420", credential, tenant });
}

function credentialOf(
  { credential: direct, credentialFile: file }: Given<typeof clientSettings>,
  dataDir: string,
  faults: Faults,
): string {
  if (direct !== undefined && file !== undefined) {
    faults.add("ICHOR_CREDENTIAL and ICHOR_CREDENTIAL_FILE exclude each other");
  }
  if (direct === undefined) {
    return readCredentialFile(file ?? resolve(dataDir, "root.key"), variableOf("credentialFile"), faults);
  }
  if (!isHeaderText(direct)) faults.add(badCredential);
  return direct;
}
