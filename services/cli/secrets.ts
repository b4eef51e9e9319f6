import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { readServerConfig } from "../config/server-config.ts";
import { type CliIo, CommandEnd, exitStatus } from "./io.ts";
import { tellingStartFaults } from "./serve.ts";

/** Adds `secrets rewrap`. */
export function addSecretsCommands(program: Command, io: CliIo): void {
  const secrets = program.command("secrets").description("move secrets at rest to another master key");
  secrets
    .command("rewrap")
    .description("seal every secret anew under the first key of the master key file; servers may run meanwhile")
    .action(() => tellingStartFaults(() => rewrap(program.opts().json === true, io)));
}

async function rewrap(json: boolean, { env, stdout, stderr }: CliIo): Promise<void> {
  const { rewrapStore } = await import("../app.ts");
  const { moved, stuck } = await rewrapStore(
    await readServerConfig(env),
    { now: Date.now, random: randomBytes },
    (progress) => {
      if (!json) stderr.write(`${progress.moved} moved\n`);
    },
  );
  stdout.write(json ? `${JSON.stringify({ moved, stuck })}\n` : `moved ${moved} secrets to the current master key\n`);
  if (stuck > 0) {
    throw new CommandEnd(
      exitStatus.failed,
      `${stuck} secrets stay sealed under master keys that the file doesn't hold`,
    );
  }
}
