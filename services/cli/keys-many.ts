import { type MessageInitShape, toJson } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Command, InvalidArgumentError, Option } from "commander";
import {
  BulkRevokeApiKeysResponseSchema,
  ListApiKeysResponseSchema,
  LookupCredentialsResponseSchema,
  UpdateApiKeyResponseSchema,
} from "../../gen/ichor/v1/admin_service_pb.ts";
import { type ApiKey, type ApiKeySchema, CredentialKind, KeyStatus } from "../../gen/ichor/v1/api_key_pb.ts";
import { nameOf } from "../wire/enums.ts";
import { adminClient } from "./client.ts";
import { importKeys } from "./import-keys.ts";
import { type CliIo, CommandEnd, exitStatus, readText } from "./io.ts";
import { keyLines, parseLabel, parseReason } from "./keys.ts";
import { type Print, printer, table, timeText } from "./print.ts";
import { parseRateLimit, rateLimitSyntax } from "./rate-limit-option.ts";
import { parseSpan } from "./span.ts";

const parallelMax = 8;

/** Adds `keys import|list|lookup|update|bulk-revoke` to the commands about keys. */
export function addManyKeysCommands(keys: Command, program: Command, io: CliIo): void {
  const print = printer(program, io);
  addImport(keys, program, io);
  addList(keys, program, io);
  addUpdate(keys, io, print);
  keys
    .command("lookup")
    .description("say which keys credentials belong to, read from standard input, one a line")
    .option("--revoke", "revoke the keys that are found")
    .option("--reason <reason>", "why, as key_compromise", "unspecified")
    .action(async (options) => {
      const texts = (await readText(io.stdin, 8 * 1024 * 1024)).split(/\r?\n/).filter((line) => line !== "");
      const response = await adminClient(io).lookupCredentials({
        texts,
        revoke: options.revoke === true,
        reason: parseReason(options.reason),
      });
      const rows = response.results.map(({ index, kind, keyId, ownerId, status }) => [
        String(index + 1),
        nameOf(CredentialKind, kind),
        keyId || "-",
        ownerId || "-",
        keyId === "" ? "-" : nameOf(KeyStatus, status),
      ]);
      print(LookupCredentialsResponseSchema, response, table(["LINE", "KIND", "KEY", "OWNER", "STATUS"], rows));
    });
  keys
    .command("bulk-revoke")
    .description("revoke every key that a filter finds, in pages of up to 1000")
    .requiredOption("--filter <filter>", `which keys, as 'labels.env = "test"'`)
    .option("--reason <reason>", "why, as key_compromise", "unspecified")
    .option("--comment <text>", "for people")
    .option("--dry-run", "only count them")
    .action(async (options) => {
      const { filter, comment, dryRun = false } = options;
      const client = adminClient(io);
      let total = 0;
      let pageToken = "";
      do {
        const request = { filter, comment, dryRun, reason: parseReason(options.reason), pageToken };
        const page = await client.bulkRevokeApiKeys(request);
        total += page.revokedCount;
        pageToken = page.nextPageToken;
        const line = dryRun ? `would revoke ${total}` : `revoked ${total}, about ${page.remainingEstimate} to look at`;
        if (program.opts().json === true) {
          io.stdout.write(`${JSON.stringify(toJson(BulkRevokeApiKeysResponseSchema, page))}\n`);
        } else if (pageToken === "" || !dryRun)
          io.stdout.write(`${pageToken === "" ? line.replace(/,.*/, "") : line}\n`);
      } while (pageToken !== "" && !io.stop.aborted);
    });
}

function addImport(keys: Command, program: Command, io: CliIo): void {
  keys
    .command("import")
    .description("take over keys of another system from a file; interrupted, the same command goes on")
    .argument("<file>", "CSV with a header, or JSON lines of ImportApiKeyRequest")
    .addOption(new Option("--format <format>", "how to read the file (default: by its name)").choices(["csv", "jsonl"]))
    .option("--name <name>", "name of keys whose line has none")
    .option("--allow-revoked", "also credentials that were imported before, revoked and deleted")
    .option("--restart", "begin anew, whatever an earlier run has done")
    .option("--parallel <number>", "batches under way at once", parseParallel, 2)
    .action(async (file: string, options) => {
      const { format, name, allowRevoked = false, restart = false, parallel } = options;
      const summary = await importKeys(adminClient(io), io, { file, format, name, allowRevoked, restart, parallel });
      const { imported, present, refused, seconds, rate, report } = summary;
      const lines = [
        `imported    ${imported}`,
        `present     ${present}`,
        `refused     ${refused}${report === undefined ? "" : `, see ${report}`}`,
        `time        ${seconds} s, ${rate} keys/s`,
      ];
      io.stdout.write(`${program.opts().json === true ? JSON.stringify(summary) : lines.join("\n")}\n`);
      if (refused > 0) throw new CommandEnd(exitStatus.no);
    });
}

function addList(keys: Command, program: Command, io: CliIo): void {
  keys
    .command("list")
    .description("list keys, newest first")
    .option("--filter <filter>", `which keys, as 'owner_id = "acme" AND status = ACTIVE'`)
    .option("--order-by <order>", "create_time, expire_time or name, each alone or with desc")
    .option("--page-size <number>", "keys of a page, at most 1000", Number)
    .option("--page-token <token>", "goes on after an earlier page")
    .option("--all", "every page")
    .action(async (options) => {
      const { filter, orderBy, pageSize, all = false } = options;
      const client = adminClient(io);
      let pageToken: string = options.pageToken ?? "";
      let first = true;
      do {
        const page = await client.listApiKeys({ filter, orderBy, pageSize, pageToken });
        pageToken = page.nextPageToken;
        if (program.opts().json === true)
          io.stdout.write(`${JSON.stringify(toJson(ListApiKeysResponseSchema, page))}\n`);
        else
          io.stdout.write(
            table(first ? listHeader : undefined, page.apiKeys.map(listRow))
              .map((l) => `${l}\n`)
              .join(""),
          );
        first = false;
      } while (all && pageToken !== "" && !io.stop.aborted);
      if (pageToken !== "" && program.opts().json !== true) io.stderr.write(`more: --page-token ${pageToken}\n`);
    });
}

const listHeader = ["KEY", "STATUS", "NAME", "OWNER", "EXPIRES", "LAST USED", "USES"];

function listRow(key: ApiKey): readonly string[] {
  const { id, status, name, ownerId, expireTime, lastUsedTime, useCount } = key;
  const ends = expireTime === undefined ? "never" : timeText(expireTime);
  return [id, nameOf(KeyStatus, status), name, ownerId || "-", ends, timeText(lastUsedTime), String(useCount)];
}

function addUpdate(keys: Command, io: CliIo, print: Print): void {
  keys
    .command("update")
    .description("change fields of a key; what isn't given stays")
    .argument("<key-id>")
    .option("--name <name>", "name for people")
    .option("--scope <scope...>", "granted scopes, all of them")
    .option("--label <name=value...>", "labels, all of them")
    .option("--cidr <network...>", "networks that may use the key, all of them")
    .option(`--rate-limit ${rateLimitSyntax}`, "limits on its use, all of them", parseRateLimit)
    .option("--ttl <span>", "end so long from now, as 30d", parseSpan)
    .option("--never-expires", "live for ever, if the tenant allows it")
    .option(
      "--clear <field...>",
      "empty these: scopes, labels, metadata, allowed_cidrs, constraints, rate_limits, derive_policy",
    )
    .option("--etag <etag>", "only if the key is still the one with this etag")
    .option("--keep-derived", "leave tokens alive that were derived before, although the key allows less")
    .option("--request-id <id>", "makes the call repeatable")
    .action(async (keyId: string, options) => {
      const { apiKey, paths } = updateOf(options);
      const { etag, keepDerived, requestId } = options;
      const request = { keyId, apiKey, updateMask: { paths }, etag, keepDerived, requestId };
      const response = await adminClient(io).updateApiKey(request);
      print(UpdateApiKeyResponseSchema, response, keyLines(response.apiKey));
    });
}

interface UpdateOptions {
  readonly name?: string;
  readonly scope?: string[];
  readonly label?: string[];
  readonly cidr?: string[];
  readonly rateLimit?: ReturnType<typeof parseRateLimit>;
  readonly ttl?: ReturnType<typeof parseSpan>;
  readonly neverExpires?: boolean;
  readonly clear?: string[];
}

function updateOf({ name, scope, label, cidr, rateLimit, ttl, neverExpires, clear = [] }: UpdateOptions): {
  apiKey: MessageInitShape<typeof ApiKeySchema>;
  paths: string[];
} {
  if (ttl !== undefined && neverExpires) {
    throw new CommandEnd(exitStatus.usage, "--ttl and --never-expires exclude each other");
  }
  const set: readonly (readonly [string, MessageInitShape<typeof ApiKeySchema> | undefined])[] = [
    ["name", name === undefined ? undefined : { name }],
    ["scopes", scope && { scopes: scope }],
    ["labels", label && { labels: Object.fromEntries(label.map(parseLabel)) }],
    ["allowed_cidrs", cidr && { allowedCidrs: cidr }],
    ["rate_limits", rateLimit && { rateLimits: [...rateLimit] }],
    ["expire_time", ttl && { expireTime: timestampFromMs(Date.now() + Number(ttl.seconds) * 1000) }],
    ["expire_time", neverExpires ? {} : undefined],
  ];
  const given = set.filter(([, fields]) => fields !== undefined);
  const paths = [...given.map(([path]) => path), ...clear];
  if (paths.length === 0) throw new CommandEnd(exitStatus.usage, "give a field to change");
  return { apiKey: Object.assign({}, ...given.map(([, fields]) => fields)), paths };
}

function parseParallel(text: string): number {
  const parallel = Number(text);
  if (Number.isInteger(parallel) && parallel >= 1 && parallel <= parallelMax) return parallel;
  throw new InvalidArgumentError(`Use 1 to ${parallelMax}.`);
}
