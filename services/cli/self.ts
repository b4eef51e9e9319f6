import type { Command } from "commander";
import {
  GetSelfResponseSchema,
  RevokeSelfResponseSchema,
  RotateSelfResponseSchema,
  SelfService,
  SelfServiceRevokeTokenResponseSchema,
} from "../../gen/ichor/v1/self_service_pb.ts";
import { serviceClient } from "./client.ts";
import { type CliIo, readCredential } from "./io.ts";
import { keyLines, parseReason } from "./keys.ts";
import { printer } from "./print.ts";
import { parseSpan } from "./span.ts";

/** Adds `self show|rotate|revoke|revoke-token`: what the holder of a key may do with the key that it calls with. */
export function addSelfCommands(program: Command, io: CliIo): void {
  const self = program.command("self").description("show, rotate and revoke the key that the command calls with");
  const print = printer(program, io);
  self
    .command("show")
    .description("show the key, which of its secrets was presented, and what it may do here")
    .action(async () => {
      const response = await serviceClient(SelfService, io).getSelf({});
      print(GetSelfResponseSchema, response, [
        ...keyLines(response.apiKey),
        `presented   ${response.secretVersionId}`,
        `may         ${response.scopes.join(" ")}`,
      ]);
    });
  self
    .command("rotate")
    .description("make a new secret and print the new credential, this once")
    .option("--grace <span>", "how long older secrets still verify, as 1h (default 24h)", parseSpan)
    .option("--request-id <id>", "makes the call repeatable, with the older secret too")
    .action(async ({ grace, requestId = "" }) => {
      const response = await serviceClient(SelfService, io).rotateSelf({ gracePeriod: grace, requestId });
      print(RotateSelfResponseSchema, response, [...keyLines(response.apiKey), `credential  ${response.credential}`]);
    });
  self
    .command("revoke")
    .description("end the key for ever")
    .option("--reason <reason>", "why, as key_compromise", "unspecified")
    .option("--comment <text>", "for people", "")
    .action(async ({ reason, comment }) => {
      const response = await serviceClient(SelfService, io).revokeSelf({ reason: parseReason(reason), comment });
      print(RevokeSelfResponseSchema, response, keyLines(response.apiKey));
    });
  self
    .command("revoke-token")
    .description("end one token that was derived from the key")
    .argument("[token-id]", "its id; without it the token itself is read")
    .option("--token-file <file>", "file that holds the token; - is standard input", "-")
    .action(async (tokenId: string | undefined, { tokenFile }) => {
      const target =
        tokenId === undefined
          ? ({ case: "token", value: await readCredential(io, tokenFile) } as const)
          : ({ case: "tokenId", value: tokenId } as const);
      const response = await serviceClient(SelfService, io).revokeToken({ target });
      print(SelfServiceRevokeTokenResponseSchema, response, [`revision    ${response.revision}`]);
    });
}
