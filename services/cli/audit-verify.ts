import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { type Command, InvalidArgumentError } from "commander";
import { readCheckpoint, type SignedCheckpoint } from "../core/audit/checkpoint.ts";
import { type VerifyReport, verifyExport } from "./audit-verify-export.ts";
import { adminClient } from "./client.ts";
import { type CliIo, CommandEnd, exitStatus } from "./io.ts";

/** Statements that one call takes. */
const statementsMax = 1000;
/** Revisions that one call looks at. */
const revisionsOfCall = 10_000n;

/** Adds `audit verify`. */
export function addAuditVerify(audit: Command, program: Command, io: CliIo): void {
  audit
    .command("verify")
    .description(
      "say whether the trail is the one that was written, and what is wrong first; exit status 1 if it isn't",
    )
    .option("--from <revision>", "begin there, with the hash before it as it is stored", BigInt, 1n)
    .option("--checkpoints <file>", "statements that were kept: the servers' log, or one a line")
    .option("--file <file>", "check an export in JSON lines instead, without a server")
    .option("--key <kid...>", "believe this key's statements and those of its successors; with --file", parseKid)
    .action(async ({ from, checkpoints, file, key }) => {
      const kept = checkpoints === undefined ? [] : await readStatements(checkpoints);
      const report = file === undefined ? await verifyOnline(io, from, kept) : await verifyExport(file, kept, key);
      print(program.opts().json === true, report, io);
      if (report.fault !== undefined) throw new CommandEnd(exitStatus.no);
    });
}

function print(json: boolean, report: VerifyReport, { stdout }: CliIo): void {
  const { fault, verifiedRevision, checkpointsCompared, keys = [], notes = [] } = report;
  const lines = [
    fault ?? "nothing is wrong",
    `right up to revision ${verifiedRevision}, borne out by ${checkpointsCompared} checkpoints`,
    ...keys.map((kid) => `believed key ${kid}`),
    ...notes,
  ];
  const told = { ...report, verifiedRevision: String(verifiedRevision) };
  stdout.write(json ? `${JSON.stringify(told)}\n` : `${lines.join("\n")}\n`);
}

/** Asks a server, part by part. */
async function verifyOnline(io: CliIo, from: bigint, kept: readonly SignedCheckpoint[]): Promise<VerifyReport> {
  const client = adminClient(io);
  let checkpointsCompared = 0;
  let fromRevision = from;
  let previousHash = new Uint8Array();
  for (;;) {
    const checkpoints = statementsFor(kept, fromRevision).map(({ statement }) => statement);
    const part = await client.verifyAuditChain({ fromRevision, previousHash, checkpoints });
    checkpointsCompared += part.checkpointsCompared;
    const report = { verifiedRevision: part.verifiedRevision, checkpointsCompared };
    if (part.fault !== undefined) return { ...report, fault: part.fault.description };
    if (part.nextRevision === 0n || io.stop.aborted) return report;
    io.stderr.write(`${part.verifiedRevision} of ${part.headRevision}\n`);
    fromRevision = part.nextRevision;
    previousHash = Buffer.from(part.verifiedHash);
  }
}

/** Those of the part that a call looks at, and the last one, which tells how long the trail must be. */
function statementsFor(kept: readonly SignedCheckpoint[], from: bigint): readonly SignedCheckpoint[] {
  const ofPart = kept.filter(({ revision }) => revision >= from && revision < from + revisionsOfCall);
  const last = kept.at(-1);
  const few = ofPart.slice(0, statementsMax - 1);
  return last === undefined || few.includes(last) ? few : [...few, last];
}

/** Reads the statements of a file, by revision: the log of servers has them among other lines. */
async function readStatements(path: string): Promise<readonly SignedCheckpoint[]> {
  const texts = new Set<string>();
  try {
    for await (const line of createInterface({ input: createReadStream(path) })) {
      // Each begins as base64url of a JSON object does.
      for (const [text] of line.matchAll(/eyJ[\w-]*\.[\w-]+\.[\w-]{86}/g)) texts.add(text);
    }
  } catch (error) {
    throw new CommandEnd(exitStatus.usage, `${path} can't be read (${(error as NodeJS.ErrnoException).code})`);
  }
  const read = await Promise.all([...texts].map(readCheckpoint));
  const statements = read.flatMap((statement) => statement ?? []);
  if (statements.length === 0) throw new CommandEnd(exitStatus.usage, `${path} holds no checkpoint`);
  return statements.sort((a, b) => (a.revision < b.revision ? -1 : 1));
}

function parseKid(text: string, earlier: readonly string[] = []): readonly string[] {
  if (!/^[\w-]{43}$/.test(text)) throw new InvalidArgumentError("Use the thumbprint of a key.");
  return [...earlier, text];
}
