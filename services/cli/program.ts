import { Command, CommanderError } from "commander";
import { profilePath } from "../config/client-config.ts";
import { ConfigError } from "../config/config-error.ts";
import { readConfigFile } from "../config/config-file.ts";
import { configFileVariable, profileVariable } from "../config/settings.ts";
import { buildId, version } from "../version.ts";
import { addAudienceKeysCommands } from "./audience-keys.ts";
import { addAuditCommands } from "./audit.ts";
import { describeCallError, isCallError } from "./call-error.ts";
import { addCompletionCommand } from "./completion.ts";
import { addDoctorCommand } from "./doctor.ts";
import { addFeedKeyCommands } from "./feed-key.ts";
import { type CliIo, CommandEnd, exitStatus } from "./io.ts";
import { addKeysCommands } from "./keys.ts";
import { addManyKeysCommands } from "./keys-many.ts";
import { addRootCredentialCommands } from "./root-credential.ts";
import { addSecretsCommands } from "./secrets.ts";
import { addSelfCommands } from "./self.ts";
import { addServerCommands } from "./serve.ts";
import { addSidecarCommand } from "./sidecar.ts";
import { addSigningKeysCommands } from "./signing-keys.ts";
import { addStoreCommands } from "./store.ts";
import { addSubscribersCommand } from "./subscribers.ts";
import { addTenantsCommands } from "./tenants.ts";
import { addTokensCommands } from "./tokens.ts";
import { addWatchCommand } from "./watch.ts";

/** Runs one command line (without node and script) and gives its exit status. Never throws for a fault of the user. */
export async function runCommandLine(args: readonly string[], given: CliIo): Promise<number> {
  const io: { -readonly [K in keyof CliIo]: CliIo[K] } = { ...given };
  const program = new Command("ichor")
    .description("API-key server: issues, verifies, rotates and revokes API keys")
    .version(versionText(), "--version")
    .option("--json", "print JSON instead of text")
    .option("--config <file>", `configuration file of what is started, as ${configFileVariable}`)
    .option("--profile <name>", `where client commands call, and as whom, as ${profileVariable}`)
    .hook("preAction", async () => {
      const { config: file, profile = given.env[profileVariable] } = program.opts();
      if (file !== undefined) io.env = { ...given.env, [configFileVariable]: file };
      if (profile) io.profile = await readConfigFile(profilePath(profile, given.env));
    })
    .showHelpAfterError("(ichor --help lists the commands)")
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.stdout.write(text), writeErr: (text) => io.stderr.write(text) });
  addServerCommands(program, io);
  addManyKeysCommands(addKeysCommands(program, io), program, io);
  addTokensCommands(program, io);
  addWatchCommand(program, io);
  addSelfCommands(program, io);
  addSubscribersCommand(program, io);
  addSidecarCommand(program, io);
  addSigningKeysCommands(program, io);
  addAudienceKeysCommands(program, io);
  addFeedKeyCommands(program, io);
  addTenantsCommands(program, io);
  addAuditCommands(program, io);
  addSecretsCommands(program, io);
  addStoreCommands(program, io);
  addRootCredentialCommands(program, io);
  addDoctorCommand(program, io);
  addCompletionCommand(program, io);
  try {
    await program.parseAsync(args, { from: "user" });
    return exitStatus.ok;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitStatus.ok : exitStatus.usage;
    if (error instanceof CommandEnd) return end(io, error.message, error.status);
    if (error instanceof ConfigError) return end(io, error.message, exitStatus.usage);
    if (!isCallError(error)) throw error;
    io.stderr.write(`${describeCallError(error, program.opts().json === true)}\n`);
    return exitStatus.failed;
  }
}

function versionText(): string {
  const build = buildId();
  return build === undefined ? version : `${version} (build ${build})`;
}

function end(io: CliIo, message: string, status: number): number {
  if (message !== "") io.stderr.write(`ichor: ${message}\n`);
  return status;
}
