import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { renewEpoch } from "../app.ts";
import { readServerConfig } from "../config/server-config.ts";
import type { CliIo } from "./io.ts";
import { tellingStartFaults } from "./serve.ts";
import { addStoreCopyCommands } from "./store-copy.ts";

/** Adds `store new-epoch`, `store backup`, `store copy` and `store unfence`. */
export function addStoreCommands(program: Command, io: CliIo): void {
  const store = program.command("store").description("tend the store itself; needs its database at hand");
  store
    .command("new-epoch")
    .description("say that the store was restored: verifiers begin anew, and tokens derived before now end")
    .action(() => tellingStartFaults(() => newEpoch(program.opts().json === true, io)));
  store
    .command("backup")
    .description("write a copy of an embedded store into a new file, while servers run")
    .requiredOption("--to <file>", "the new file")
    .action(({ to }: { to: string }) => tellingStartFaults(() => backup(to, program.opts().json === true, io)));
  addStoreCopyCommands(store, () => program.opts().json === true, io);
}

async function backup(to: string, json: boolean, { env, stdout }: CliIo): Promise<void> {
  const { backupStore } = await import("../store-work.ts");
  const { databaseUrl } = await readServerConfig(env);
  backupStore(databaseUrl, to);
  stdout.write(`${json ? JSON.stringify({ file: to }) : `backed up to ${to}; keep the master key elsewhere`}\n`);
}

async function newEpoch(json: boolean, { env, stdout }: CliIo): Promise<void> {
  const { storeEpoch, revision } = await renewEpoch(await readServerConfig(env), {
    now: Date.now,
    random: randomBytes,
  });
  stdout.write(
    json
      ? `${JSON.stringify({ storeEpoch, revision: String(revision) })}\n`
      : `new store epoch ${storeEpoch} at revision ${revision}; tokens derived before now are ended\n`,
  );
}
