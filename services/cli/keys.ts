import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Command } from "commander";
import {
  DeleteApiKeyResponseSchema,
  DisableApiKeyResponseSchema,
  EnableApiKeyResponseSchema,
  EndGracePeriodResponseSchema,
  GetApiKeyResponseSchema,
  type IssueApiKeyRequestSchema,
  IssueApiKeyResponseSchema,
  RevokeApiKeyResponseSchema,
  RotateApiKeyResponseSchema,
} from "../../gen/ichor/v1/admin_service_pb.ts";
import { type ApiKey, KeyStatus, RevocationReason, Visibility } from "../../gen/ichor/v1/api_key_pb.ts";
import { VerificationCode, VerifyCredentialResponseSchema } from "../../gen/ichor/v1/verification_pb.ts";
import { nameOf } from "../wire/enums.ts";
import { adminClient } from "./client.ts";
import { type CliIo, CommandEnd, exitStatus, readCredential } from "./io.ts";
import { type Print, printer } from "./print.ts";
import { parseRateLimit, rateLimitSyntax } from "./rate-limit-option.ts";
import { parseSpan } from "./span.ts";

/** Adds `keys` with the commands about one key; gives that command, for those about many. */
export function addKeysCommands(program: Command, io: CliIo): Command {
  const keys = program.command("keys").description("issue, verify, rotate and revoke API keys");
  const print = printer(program, io);
  keys
    .command("issue")
    .description("make a key and print its credential, this once")
    .requiredOption("--name <name>", "name for people")
    .option("--owner <id>", "who or what the key belongs to")
    .option("--scope <scope...>", "granted scopes")
    .option("--ttl <span>", "life, as 30d (default: the tenant's)", parseSpan)
    .option("--never-expires", "live for ever, if the tenant allows it")
    .option("--public", "a key that may stand in a browser or an app")
    .option("--prefix <prefix>", "one of the tenant's prefixes")
    .option("--cidr <network...>", "networks that may use the key")
    .option("--label <name=value...>", "labels")
    .option(`--rate-limit ${rateLimitSyntax}`, "limits on its use, as api=100/1h", parseRateLimit)
    .option("--request-id <id>", "makes the call repeatable")
    .action(async (options: IssueOptions) => {
      const response = await adminClient(io).issueApiKey(issueRequest(options));
      print(IssueApiKeyResponseSchema, response, [...keyLines(response.apiKey), `credential  ${response.credential}`]);
    });
  keys
    .command("get")
    .description("show a key")
    .argument("<key-id>")
    .action(async (keyId: string) => {
      const response = await adminClient(io).getApiKey({ keyId });
      print(GetApiKeyResponseSchema, response, keyLines(response.apiKey));
    });
  keys
    .command("verify")
    .description("say whether a credential, read from standard input or a file, allows a request; exit status 1 if not")
    .option("--credential-file <file>", "file that holds the credential; - is standard input", "-")
    .option("--scope <scope...>", "required scopes")
    .option("--audience <audience>", "who asks")
    .option("--client-ip <address>", "address of the client")
    .option("--cost <uses>", "what it takes of rate limits; 0 only tells what is left", parseCount)
    .action(async (options) => {
      const credential = await readCredential(io, options.credentialFile);
      const response = await adminClient(io).verifyCredential({
        credential,
        requiredScopes: options.scope,
        audience: options.audience,
        clientIp: options.clientIp,
        ...(options.cost !== undefined && { cost: options.cost }),
      });
      const about = response.key && [
        `key         ${response.key.id}`,
        `owner       ${response.key.ownerId}`,
        `scopes      ${response.key.scopes.join(" ")}`,
      ];
      print(VerifyCredentialResponseSchema, response, [
        `code        ${nameOf(VerificationCode, response.code)}`,
        ...(about ?? []),
        ...response.rateLimits.map(({ name, limit, remaining, resetTime }) => {
          const whole = resetTime === undefined ? "" : `, whole at ${timestampDate(resetTime).toISOString()}`;
          return `limit       ${name}: ${remaining} left of ${limit}${whole}`;
        }),
      ]);
      if (!response.valid) throw new CommandEnd(exitStatus.no);
    });
  keys
    .command("rotate")
    .description("make a new secret and print the new credential, this once")
    .argument("<key-id>")
    .option("--grace <span>", "how long older secrets still verify, as 1h (default 24h); 0s ends them now", parseSpan)
    .option("--request-id <id>", "makes the call repeatable")
    .action(async (keyId: string, options) => {
      const response = await adminClient(io).rotateApiKey({
        keyId,
        gracePeriod: options.grace,
        requestId: options.requestId,
      });
      print(RotateApiKeyResponseSchema, response, [...keyLines(response.apiKey), `credential  ${response.credential}`]);
    });
  keys
    .command("revoke")
    .description("end a key for ever")
    .argument("<key-id>")
    .option("--reason <reason>", "why, as key_compromise", "unspecified")
    .option("--comment <text>", "for people")
    .option("--wait <span>", "until all servers and verifiers have applied it, at most 30s", parseSpan)
    .action(async (keyId: string, { comment, wait, ...options }) => {
      const reason = parseReason(options.reason);
      const response = await adminClient(io).revokeApiKey({ keyId, reason, comment, wait });
      const { appliedEverywhere, laggards } = response;
      const applied = appliedEverywhere ? "everywhere" : `not seen everywhere: ${laggards.join(" ")}`;
      print(RevokeApiKeyResponseSchema, response, [
        ...keyLines(response.apiKey),
        ...(wait === undefined ? [] : [`applied     ${applied}`]),
      ]);
    });
  addStateCommands(keys, io, print);
  return keys;
}

/** The commands that name a key and nothing else. */
function addStateCommands(keys: Command, io: CliIo, print: Print): void {
  const command = (name: string, description: string, run: (keyId: string) => Promise<void>) =>
    keys.command(name).description(description).argument("<key-id>").action(run);
  command("end-grace", "end older secrets now", async (keyId) => {
    const response = await adminClient(io).endGracePeriod({ keyId });
    print(EndGracePeriodResponseSchema, response, keyLines(response.apiKey));
  });
  command("disable", "suspend a key", async (keyId) => {
    const response = await adminClient(io).disableApiKey({ keyId });
    print(DisableApiKeyResponseSchema, response, keyLines(response.apiKey));
  });
  command("enable", "resume a suspended key", async (keyId) => {
    const response = await adminClient(io).enableApiKey({ keyId });
    print(EnableApiKeyResponseSchema, response, keyLines(response.apiKey));
  });
  command("delete", "remove a revoked or expired key", async (keyId) => {
    const response = await adminClient(io).deleteApiKey({ keyId });
    print(DeleteApiKeyResponseSchema, response, [`deleted     ${keyId}`]);
  });
}

interface IssueOptions {
  readonly name: string;
  readonly owner?: string;
  readonly scope?: string[];
  readonly ttl?: ReturnType<typeof parseSpan>;
  readonly neverExpires?: boolean;
  readonly public?: boolean;
  readonly prefix?: string;
  readonly cidr?: string[];
  readonly label?: string[];
  readonly rateLimit?: ReturnType<typeof parseRateLimit>;
  readonly requestId?: string;
}

function issueRequest(options: IssueOptions): MessageInitShape<typeof IssueApiKeyRequestSchema> {
  const {
    name,
    owner = "",
    scope = [],
    ttl,
    neverExpires,
    prefix = "",
    cidr = [],
    label = [],
    rateLimit = [],
    requestId = "",
  } = options;
  if (ttl !== undefined && neverExpires)
    throw new CommandEnd(exitStatus.usage, "--ttl and --never-expires exclude each other");
  return {
    name,
    ownerId: owner,
    scopes: scope,
    ...(ttl && { expiration: { case: "ttl", value: ttl } }),
    ...(neverExpires && { expiration: { case: "neverExpires", value: true } }),
    visibility: options.public ? Visibility.PUBLIC : Visibility.SECRET,
    prefix,
    allowedCidrs: cidr,
    labels: Object.fromEntries(label.map(parseLabel)),
    rateLimits: [...rateLimit],
    requestId,
  };
}

/** A revocation reason by its name. Throws CommandEnd. */
export function parseReason(text: string): RevocationReason {
  const reason = RevocationReason[text.toUpperCase() as keyof typeof RevocationReason];
  if (reason !== undefined) return reason;
  const names = Object.keys(RevocationReason).join(", ").toLowerCase();
  throw new CommandEnd(exitStatus.usage, `--reason must be one of ${names}`);
}

/** A whole number. Throws CommandEnd. */
function parseCount(text: string): bigint {
  if (!/^\d{1,9}$/.test(text)) throw new CommandEnd(exitStatus.usage, "--cost takes a whole number");
  return BigInt(text);
}

/** A label as `name=value`. Throws CommandEnd. */
export function parseLabel(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new CommandEnd(exitStatus.usage, "--label takes name=value");
  return [text.slice(0, at), text.slice(at + 1)];
}

/** A key for people. */
export function keyLines(key: ApiKey | undefined): string[] {
  if (key === undefined) return [];
  return [
    `key         ${key.id}`,
    `name        ${key.name}`,
    `owner       ${key.ownerId}`,
    `status      ${nameOf(KeyStatus, key.status)}`,
    `scopes      ${key.scopes.join(" ")}`,
    `expires     ${key.expireTime === undefined ? "never" : timestampDate(key.expireTime).toISOString()}`,
    ...key.rateLimits.map(({ name, limit, period, burst, strict }) => {
      return `limit       ${name}: ${limit} in ${period?.seconds} s, ${burst} at once${strict ? ", strict" : ""}`;
    }),
    ...key.secretVersions.map(
      (version) =>
        `secret      ${version.id}${version.graceEndTime === undefined ? "" : `, until ${timestampDate(version.graceEndTime).toISOString()}`}`,
    ),
  ];
}
