import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { readServerConfig } from "../config/server-config.ts";
import type { Finding } from "../doctor/finding.ts";
import { type CliIo, CommandEnd, exitStatus } from "./io.ts";
import { onOneLine } from "./print.ts";

/** Adds `doctor`. */
export function addDoctorCommand(program: Command, io: CliIo): void {
  program
    .command("doctor")
    .description("look at all that a server of this configuration uses, and say what is wrong; changes nothing")
    .action(() => doctor(program.opts().json === true, io));
}

/** Status 1 if something doesn't work; warnings alone are no failure. */
async function doctor(json: boolean, { env, stdout }: CliIo): Promise<void> {
  const { diagnose } = await import("../diagnose.ts");
  const findings = await diagnose(await readServerConfig(env), { now: Date.now, random: randomBytes });
  const lines = json ? [JSON.stringify({ findings })] : findings.flatMap(linesOf);
  stdout.write(`${lines.join("\n")}\n`);
  if (findings.some(({ status }) => status === "fail")) throw new CommandEnd(exitStatus.no);
}

function linesOf({ name, status, message, remedy }: Finding): readonly string[] {
  const line = onOneLine(`${status.toUpperCase().padEnd(4)}  ${name}: ${message}`);
  return remedy === undefined ? [line] : [line, onOneLine(`      ${remedy}`)];
}
