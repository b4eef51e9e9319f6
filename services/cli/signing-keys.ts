import type { Command } from "commander";
import {
  ListSigningKeysResponseSchema,
  RevokeSigningKeyResponseSchema,
  RotateSigningKeyResponseSchema,
  SigningAlgorithm,
  type SigningKey,
  SigningKeyState,
} from "../../gen/ichor/v1/signing_key_pb.ts";
import { nameOf } from "../wire/enums.ts";
import { adminClient } from "./client.ts";
import type { CliIo } from "./io.ts";
import { printer, timeText } from "./print.ts";

/** Adds `signing-keys list|rotate|revoke`. */
export function addSigningKeysCommands(program: Command, io: CliIo): void {
  const keys = program.command("signing-keys").description("list, rotate and revoke the keys that sign JWTs");
  const print = printer(program, io);
  keys
    .command("list")
    .description("show every signing key of the tenant, the newest first")
    .action(async () => {
      const response = await adminClient(io).listSigningKeys({});
      print(ListSigningKeysResponseSchema, response, response.signingKeys.map(lineOf));
    });
  keys
    .command("rotate")
    .description("let the next key sign from now on")
    .option("--force", "also if the next key has been published for less than 24 h")
    .option("--request-id <id>", "makes the call repeatable")
    .action(async ({ force = false, requestId = "" }) => {
      const response = await adminClient(io).rotateSigningKey({ force, requestId });
      print(RotateSigningKeyResponseSchema, response, linesOf(response.signingKey));
    });
  keys
    .command("revoke")
    .description("say that a key may be known to others: nothing that it signed verifies any more")
    .argument("<signing-key-id>")
    .option("--request-id <id>", "makes the call repeatable")
    .action(async (signingKeyId: string, { requestId = "" }) => {
      const response = await adminClient(io).revokeSigningKey({ signingKeyId, requestId });
      print(RevokeSigningKeyResponseSchema, response, linesOf(response.signingKey));
    });
}

function lineOf({ id, kid, algorithm, state, createTime }: SigningKey): string {
  const name = nameOf(SigningKeyState, state).padEnd(11);
  return `${id}  ${name}  ${nameOf(SigningAlgorithm, algorithm)}  ${timeText(createTime)}  ${kid}`;
}

function linesOf(key: SigningKey | undefined): string[] {
  return key === undefined ? [] : [lineOf(key)];
}
