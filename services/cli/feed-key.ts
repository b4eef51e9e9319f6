import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { readServerConfig } from "../config/server-config.ts";
import type { FeedKeyRotation, FeedKeyStanding } from "../keyring/tend-feed-keys.ts";
import { secretsWork } from "../secrets-work.ts";
import { type CliIo, CommandEnd, exitStatus } from "./io.ts";
import { table } from "./print.ts";
import { tellingStartFaults } from "./serve.ts";

/** Adds `feed-key show|rotate`. */
export function addFeedKeyCommands(program: Command, io: CliIo): void {
  const feedKey = program
    .command("feed-key")
    .description("the key that signs feeds, which verifiers pin; needs the database and the master key file at hand");
  const work = async () => secretsWork(await readServerConfig(io.env), { now: Date.now, random: randomBytes });
  const print = (answer: object, lines: readonly string[]) =>
    void io.stdout.write(`${program.opts().json === true ? JSON.stringify(answer) : lines.join("\n")}\n`);
  feedKey
    .command("show")
    .description("tell the thumbprint of the one that signs, and of those before and after it")
    .action(() =>
      tellingStartFaults(async () => {
        const feedKeys = await (await work()).feedKeys();
        const told = feedKeys.map(({ kid, activateTimeMs, standing }) => {
          return { feedKeyId: kid, activateTime: timeOf(activateTimeMs), standing };
        });
        print({ feedKeys: told }, table(["FEED KEY", "SIGNS FROM", ""], feedKeys.map(rowOf)));
      }),
    );
  feedKey
    .command("rotate")
    .description("announce another one, which signs a day later; servers may run meanwhile")
    .option("--force", "at once, as when the old one may be known to others: then pin the new one everywhere")
    .action(({ force = false }) =>
      tellingStartFaults(async () => {
        const rotation = await (await work()).rotateFeedKey(force);
        const { outcome, kid, activateTimeMs, predecessorId } = rotation;
        const told = { feedKeyId: kid, outcome, activateTime: timeOf(activateTimeMs), predecessorId };
        if (outcome !== "waiting" || program.opts().json === true) print(told, linesOf(rotation));
        if (outcome !== "waiting") return;
        const why = `${kid} is announced already, and signs from ${timeOf(activateTimeMs)} on (--force lets it sign now)`;
        throw new CommandEnd(exitStatus.failed, why);
      }),
    );
}

function rowOf({ kid, activateTimeMs, standing }: FeedKeyStanding): readonly string[] {
  return [kid, timeOf(activateTimeMs), standing];
}

function linesOf({ outcome, kid, activateTimeMs, predecessorId }: FeedKeyRotation): readonly string[] {
  const when = outcome === "signs" ? "signs from now on" : `signs from ${timeOf(activateTimeMs)} on`;
  const learned = "verifiers that believe the one before it learn of it by the feed";
  return [`${kid} ${when}`, predecessorId ? learned : "no verifier knows it: pin it everywhere"];
}

function timeOf(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
