import type { Command } from "commander";
import { ListSubscribersResponseSchema, OnStale } from "../../gen/ichor/v1/key_set_pb.ts";
import { nameOf } from "../wire/enums.ts";
import { adminClient } from "./client.ts";
import type { CliIo } from "./io.ts";
import { printer, table, timeText } from "./print.ts";

const header = ["ID", "KEY", "SERVER", "BEHIND", "SEEN", "IF STALE", "CLIENT", "FEEDS"];

/** Adds `subscribers`. */
export function addSubscribersCommand(program: Command, io: CliIo): void {
  const print = printer(program, io);
  program
    .command("subscribers")
    .description("list who follows the tenant's key set, and how many revisions they are behind")
    .option("--page-size <number>", "at most so many, up to 1000", Number, 50)
    .option("--page-token <token>", "goes on after an earlier page", "")
    .action(async ({ pageSize, pageToken }) => {
      const response = await adminClient(io).listSubscribers({ pageSize, pageToken });
      const rows = response.subscribers.map((one) => [
        one.id,
        one.keyId,
        one.serverId || "-",
        String(response.revision - one.ackedRevision),
        timeText(one.seenTime),
        nameOf(OnStale, one.onStale).toLowerCase(),
        one.clientVersion || "-",
        one.feeds.join(" "),
      ]);
      print(ListSubscribersResponseSchema, response, table(header, rows));
      const more = response.nextPageToken;
      if (more !== "" && program.opts().json !== true) io.stderr.write(`more: --page-token ${more}\n`);
    });
}
