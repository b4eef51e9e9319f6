import { randomBytes } from "node:crypto";
import type { Command } from "commander";
import { ListAuditCheckpointsResponseSchema, ListAuditEventsResponseSchema } from "../../gen/ichor/v1/audit_pb.ts";
import { readServerConfig } from "../config/server-config.ts";
import { secretsWork } from "../secrets-work.ts";
import { addAuditExport } from "./audit-export.ts";
import { addAuditVerify } from "./audit-verify.ts";
import { addAuditWatch } from "./audit-watch.ts";
import { adminClient } from "./client.ts";
import type { CliIo } from "./io.ts";
import { printer, table, timeText } from "./print.ts";
import { tellingStartFaults } from "./serve.ts";

/** Adds `audit list|verify|export|watch|checkpoints|rotate-key`. */
export function addAuditCommands(program: Command, io: CliIo): void {
  const audit = program.command("audit").description("read, check, export and follow the audit trail");
  addList(audit, program, io);
  addAuditVerify(audit, program, io);
  addAuditExport(audit, program, io);
  addAuditWatch(audit, program, io);
  const print = printer(program, io);
  audit
    .command("checkpoints")
    .description("list the signed statements of where the log stood; --json gives the statements themselves")
    .option("--after <number>", "only later ones", BigInt, 0n)
    .option("--page-size <number>", "at most so many, up to 1000", Number, 50)
    .action(async ({ after, pageSize }) => {
      const page = await adminClient(io).listAuditCheckpoints({ afterNumber: after, pageSize });
      const rows = page.auditCheckpoints.map(({ number, revision, createTime, kid }) => [
        String(number),
        String(revision),
        timeText(createTime),
        kid,
      ]);
      print(ListAuditCheckpointsResponseSchema, page, table(["NUMBER", "REVISION", "TIME", "KEY"], rows));
    });
  audit
    .command("rotate-key")
    .description("let another key sign checkpoints; needs database and master key at hand, servers may run meanwhile")
    .action(() => tellingStartFaults(() => rotateKey(program.opts().json === true, io)));
}

function addList(audit: Command, program: Command, io: CliIo): void {
  const print = printer(program, io);
  audit
    .command("list")
    .description("list events of the tenant, the newest first")
    .option("--filter <filter>", `which, as 'target = "key_…" AND event_time > "2026-01-31T00:00:00Z"'`, "")
    .option("--oldest-first", "the oldest first")
    .option("--page-size <number>", "events of a page, at most 1000", Number, 50)
    .option("--page-token <token>", "goes on after an earlier page", "")
    .option("--all", "every page")
    .action(async ({ filter, oldestFirst, pageSize, pageToken: start, all = false }) => {
      const client = adminClient(io);
      const orderBy = oldestFirst ? "revision" : "revision desc";
      let pageToken: string = start;
      let first = true;
      do {
        const page = await client.listAuditEvents({ filter, orderBy, pageSize, pageToken });
        pageToken = page.nextPageToken;
        const rows = page.auditEvents.map((event) => [
          String(event.revision),
          timeText(event.eventTime),
          event.action,
          event.target,
          event.callerKeyId || "-",
          event.address || "-",
          Object.entries(event.details)
            .map(([name, value]) => `${name}=${value}`)
            .join(" "),
        ]);
        print(ListAuditEventsResponseSchema, page, table(first ? header : undefined, rows));
        first = false;
      } while (all && pageToken !== "" && !io.stop.aborted);
      if (pageToken !== "" && program.opts().json !== true) io.stderr.write(`more: --page-token ${pageToken}\n`);
    });
}

const header = ["REVISION", "TIME", "ACTION", "TARGET", "CALLER", "ADDRESS", "DETAILS"];

async function rotateKey(json: boolean, { env, stdout }: CliIo): Promise<void> {
  const work = secretsWork(await readServerConfig(env), { now: Date.now, random: randomBytes });
  const kid = await work.rotateCheckpointKey();
  stdout.write(json ? `${JSON.stringify({ kid })}\n` : `checkpoints are signed by key ${kid} from now on\n`);
}
