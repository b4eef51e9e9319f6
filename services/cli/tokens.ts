import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Command, InvalidArgumentError } from "commander";
import { TokenFormat } from "../../gen/ichor/v1/api_key_pb.ts";
import { DerivationService, DeriveTokenResponseSchema } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { type RevokeTokenRequestSchema, RevokeTokenResponseSchema } from "../../gen/ichor/v1/token_pb.ts";
import { adminClient, serviceClient } from "./client.ts";
import { type CliIo, CommandEnd, exitStatus, readCredential } from "./io.ts";
import { printer, timeText } from "./print.ts";
import { parseSpan } from "./span.ts";
import { addVerifyTokenCommand } from "./tokens-verify.ts";

/** Adds `tokens derive|verify|revoke`. */
export function addTokensCommands(program: Command, io: CliIo): void {
  const tokens = program.command("tokens").description("derive, verify and revoke short-lived tokens");
  const print = printer(program, io);
  tokens
    .command("derive")
    .description("make a token from the credential that the command calls with, or from one in a file")
    .requiredOption("--audience <audience...>", "who may accept it")
    .option("--format <format>", "jwt or macaroon", parseFormat, TokenFormat.JWT)
    .option("--scope <scope...>", "what it allows (default: all of the parent's but reserved ones)")
    .option("--ttl <span>", "life, as 15m (default: the tenant's)", parseSpan)
    .option("--parent-file <file>", "file that holds another parent; - is standard input")
    .action(async ({ format, audience, scope = [], ttl, parentFile }) => {
      const response = await serviceClient(DerivationService, io).deriveToken({
        credential: parentFile === undefined ? "" : await readCredential(io, parentFile),
        format,
        audiences: audience,
        scopes: scope,
        ttl,
      });
      print(DeriveTokenResponseSchema, response, [
        `token id    ${response.tokenId}`,
        `expires     ${timeText(response.expireTime)}`,
        `scopes      ${response.scopes.join(" ")}`,
        `token       ${response.token}`,
      ]);
    });
  addVerifyTokenCommand(tokens, program, io);
  tokens
    .command("revoke")
    .description("end a token, all tokens of a key, or all that the tenant issued before a time")
    .option("--token-file <file>", "file that holds the token; - is standard input")
    .option("--key <key-id>", "all tokens of this key, or the one that --token names")
    .option("--token <token-id>", "one token of the key")
    .option("--issued-before <time>", "all issued before this time, as 2026-01-31T00:00:00Z", parseTime)
    .option("--request-id <id>", "makes the call repeatable")
    .action(async (options: RevokeOptions) => {
      const { requestId = "" } = options;
      const response = await adminClient(io).revokeToken({ target: await targetOf(io, options), requestId });
      print(RevokeTokenResponseSchema, response, [`revision    ${response.revision}`]);
    });
}

interface RevokeOptions {
  readonly tokenFile?: string;
  readonly key?: string;
  readonly token?: string;
  readonly issuedBefore?: Date;
  readonly requestId?: string;
}

type Target = NonNullable<Exclude<MessageInitShape<typeof RevokeTokenRequestSchema>["target"], undefined>>;

async function targetOf(io: CliIo, { tokenFile, key, token, issuedBefore }: RevokeOptions): Promise<Target> {
  const ways = [tokenFile, key, issuedBefore].filter((way) => way !== undefined).length;
  if (ways !== 1 || (token !== undefined && key === undefined)) {
    throw new CommandEnd(
      exitStatus.usage,
      "name one of --token-file, --key (with or without --token) and --issued-before",
    );
  }
  if (issuedBefore !== undefined) return { case: "issuedBefore", value: timestampFromDate(issuedBefore) };
  if (tokenFile !== undefined) return { case: "token", value: await readCredential(io, tokenFile) };
  if (token !== undefined) return { case: "tokenRef", value: { keyId: key ?? "", tokenId: token } };
  return { case: "keyId", value: key ?? "" };
}

function parseFormat(text: string): TokenFormat {
  if (text === "jwt") return TokenFormat.JWT;
  if (text === "macaroon") return TokenFormat.MACAROON;
  throw new InvalidArgumentError("Use jwt or macaroon.");
}

function parseTime(text: string): Date {
  const time = new Date(text);
  if (Number.isNaN(time.getTime())) throw new InvalidArgumentError("Use a time as 2026-01-31T00:00:00Z.");
  return time;
}
