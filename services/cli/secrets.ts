import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { readServerConfig } from "../config/server-config.ts";
import { pepperLeadMs } from "../core/current-pepper.ts";
import type { SecretsStatus } from "../keyring/secrets-status.ts";
import { secretsWork } from "../secrets-work.ts";
import { type CliIo, CommandEnd, exitStatus } from "./io.ts";
import { table } from "./print.ts";
import { tellingStartFaults } from "./serve.ts";

/** Adds `secrets status|rewrap|add-pepper|retire-pepper`. */
export function addSecretsCommands(program: Command, io: CliIo): void {
  const secrets = program
    .command("secrets")
    .description("change peppers and the master key; needs the database and the master key file at hand");
  const work = async () => secretsWork(await readServerConfig(io.env), { now: Date.now, random: randomBytes });
  const print = (answer: object, lines: readonly string[]) =>
    void io.stdout.write(`${program.opts().json === true ? JSON.stringify(answer) : lines.join("\n")}\n`);
  secrets
    .command("status")
    .description("count what is bound to which pepper and sealed under which master key")
    .action(() =>
      tellingStartFaults(async () => {
        const status = await (await work()).status();
        print(status, linesOf(status));
      }),
    );
  secrets
    .command("rewrap")
    .description("seal every secret anew under the first key of the master key file; servers may run meanwhile")
    .action(() =>
      tellingStartFaults(async () => {
        const { moved, stuck } = await (await work()).rewrap(({ moved }) => {
          if (program.opts().json !== true) io.stderr.write(`${moved} moved\n`);
        });
        print({ moved, stuck }, [`moved ${moved} secrets to the current master key`]);
        if (stuck === 0) return;
        const why = `${stuck} secrets stay sealed under master keys that the file doesn't hold`;
        throw new CommandEnd(exitStatus.failed, why);
      }),
    );
  secrets
    .command("add-pepper")
    .description("make a new pepper; servers bind to it what is new or seen, without a restart")
    .action(() =>
      tellingStartFaults(async () => {
        const pepperId = await (await work()).addPepper();
        print({ pepperId }, [`added ${pepperId}, current in ${pepperLeadMs / 1000} s`]);
      }),
    );
  secrets
    .command("retire-pepper")
    .description("erase a pepper that nothing is bound to any more")
    .argument("<pepper-id>")
    .option("--force", "whatever is bound to it: such secrets can't be checked any more")
    .action((pepperId: string, { force = false }) =>
      tellingStartFaults(async () => {
        const { outcome, loss } = await (await work()).retirePepper(pepperId, force);
        const { live, dead, tombstones, repeats } = loss;
        const bound = `${live} live and ${dead} dead secrets, ${tombstones} tombstones, ${repeats} repeatable calls`;
        const retired = outcome === "retired";
        if (retired || program.opts().json === true)
          print({ pepperId, outcome, ...loss }, [`retired ${pepperId}: ${bound} lost`]);
        if (!retired) throw new CommandEnd(exitStatus.failed, `${pepperId} ${refusals[outcome]}: ${bound}`);
      }),
    );
}

const refusals = {
  in_use: "is in use (--force retires it all the same)",
  current: "is the current pepper, or about to be; add another one first",
  unknown: "is no pepper of the store",
} as const;

function linesOf({ peppers, masterKeys }: SecretsStatus): readonly string[] {
  const standing = (current: boolean, there: boolean, absent: string) => (current ? "current" : there ? "" : absent);
  return [
    ...table(
      ["PEPPER", "MADE", "LIVE", "DEAD", "TOMBSTONES", ""],
      peppers.map(({ pepperId, createTimeMs, live, dead, tombstones, current }) => [
        pepperId,
        createTimeMs === undefined ? "-" : new Date(createTimeMs).toISOString(),
        ...[live, dead, tombstones].map(String),
        standing(current, createTimeMs !== undefined, "retired"),
      ]),
    ),
    "",
    ...table(
      ["MASTER KEY", "SECRETS", ""],
      masterKeys.map(({ masterKeyId, secrets, loaded, current }) => [
        masterKeyId,
        String(secrets),
        standing(current, loaded, "not in the file"),
      ]),
    ),
  ];
}
