import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { Command } from "commander";
import { readServerConfig } from "../config/server-config.ts";
import { secretsWork } from "../secrets-work.ts";
import type { CliIo } from "./io.ts";
import { tellingStartFaults } from "./serve.ts";

/** Adds `root-credential new`. */
export function addRootCredentialCommands(program: Command, io: CliIo): void {
  const root = program
    .command("root-credential")
    .description("make another root credential; needs the database and the master key file at hand");
  root
    .command("new")
    .description("make one and write it to a new file; servers may run meanwhile")
    .option("--to <file>", "the new file (default: root.key in the data directory)")
    .action(({ to }: { to?: string }) =>
      tellingStartFaults(async () => {
        const config = await readServerConfig(io.env);
        const file = to ?? join(config.dataDir, "root.key");
        const keyId = await secretsWork(config, { now: Date.now, random: randomBytes }).newRootCredential(file);
        const text =
          program.opts().json === true ? JSON.stringify({ keyId, file }) : `made ${keyId}, written to ${file}`;
        io.stdout.write(`${text}\n`);
      }),
    );
}
