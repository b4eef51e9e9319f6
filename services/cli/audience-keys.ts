import type { Command } from "commander";
import { RotateAudienceKeyResponseSchema } from "../../gen/ichor/v1/signing_key_pb.ts";
import { adminClient } from "./client.ts";
import type { CliIo } from "./io.ts";
import { printer } from "./print.ts";

/** Adds `audience-keys rotate`. */
export function addAudienceKeysCommands(program: Command, io: CliIo): void {
  const keys = program
    .command("audience-keys")
    .description("rotate the keys that macaroons of an audience are made with");
  const print = printer(program, io);
  keys
    .command("rotate")
    .description("let the audience's next generation make macaroons from now on")
    .argument("<audience>")
    .option("--revoke-previous", "the key may be known to others: nothing that was made with it verifies any more")
    .option("--request-id <id>", "makes the call repeatable")
    .action(async (audience: string, { revokePrevious = false, requestId = "" }) => {
      const response = await adminClient(io).rotateAudienceKey({ audience, revokePrevious, requestId });
      print(RotateAudienceKeyResponseSchema, response, [
        `audience    ${response.audience}`,
        `generation  ${response.generation}`,
      ]);
    });
}
