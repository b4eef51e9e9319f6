import { type Command, InvalidArgumentError } from "commander";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import {
  VerificationCode,
  type VerifyCredentialResponse,
  VerifyCredentialResponseSchema,
} from "../../gen/ichor/v1/verification_pb.ts";
import { loadClientConfig } from "../config/client-config.ts";
import { createVerifier } from "../verifier/create-verifier.ts";
import type { VerifierOptions } from "../verifier/options.ts";
import { VerifierUnavailableError } from "../verifier/unavailable-error.ts";
import type { Verifier } from "../verifier/verifier.ts";
import { verifyResponseOf } from "../verifier/verify-response.ts";
import { nameOf } from "../wire/enums.ts";
import { serviceClient } from "./client.ts";
import { feedKeyOption, issuerOption, trustOptions } from "./feed-key-option.ts";
import { type CliIo, CommandEnd, exitStatus, readCredential } from "./io.ts";
import { printer } from "./print.ts";
import { parseSpan } from "./span.ts";
import { waitingClock } from "./waiting-clock.ts";

interface VerifyOptions {
  readonly audience: string;
  readonly tokenFile: string;
  readonly scope: readonly string[];
  readonly clientIp?: string;
  readonly context: Readonly<Record<string, string>>;
  readonly offline?: boolean;
  readonly snapshotFile?: string;
  readonly maxStaleness: ReturnType<typeof parseSpan>;
  readonly timeout: ReturnType<typeof parseSpan>;
  readonly feedKey?: readonly string[];
  readonly issuer?: string;
}

/** Adds `verify` to `tokens`. */
export function addVerifyTokenCommand(tokens: Command, program: Command, io: CliIo): void {
  const print = printer(program, io);
  tokens
    .command("verify")
    .description("say whether a token, read from standard input or a file, allows a request; exit status 1 if not")
    .requiredOption("--audience <audience>", "who asks")
    .option("--token-file <file>", "file that holds the token; - is standard input", "-")
    .option("--scope <scope...>", "required scopes", [])
    .option("--client-ip <address>", "address of the client")
    .option("--context <name=value>", "a fact about the request; may be given more than once", addFact, {})
    .option("--offline", "decide here, by the key set that the server streams or the snapshot file holds")
    .option("--snapshot-file <file>", "with --offline: where the key set is kept for the next time")
    .option("--max-staleness <span>", "with --offline: how old what is known may be", parseSpan, parseSpan("30s"))
    .addOption(feedKeyOption("with --offline: "))
    .addOption(issuerOption())
    .option("--timeout <span>", "with --offline: how long to wait for the key set", parseSpan, parseSpan("10s"))
    .action(async (options: VerifyOptions) => {
      const token = await readCredential(io, options.tokenFile);
      const response = await (options.offline ? verifyOffline : verifyOnline)(token, options, io);
      print(VerifyCredentialResponseSchema, response, linesOf(response));
      if (!response.valid) throw new CommandEnd(exitStatus.no);
    });
}

function verifyOnline(credential: string, options: VerifyOptions, io: CliIo): Promise<VerifyCredentialResponse> {
  const { audience, scope, clientIp = "", context, snapshotFile } = options;
  if (snapshotFile !== undefined) throw new CommandEnd(exitStatus.usage, "--snapshot-file needs --offline");
  return serviceClient(DerivationService, io).verifyToken({
    credential,
    audience,
    requiredScopes: [...scope],
    clientIp,
    context: { ...context },
  });
}

/** Verifies as a service that embeds the verifier. What it can't tell is a failure, no refusal. */
async function verifyOffline(token: string, options: VerifyOptions, io: CliIo): Promise<VerifyCredentialResponse> {
  const { audience, scope: scopes, clientIp, context, snapshotFile, maxStaleness, timeout } = options;
  const { url, credential, tenant } = loadClientConfig(io.env, io.profile);
  if (tenant !== undefined) {
    throw new CommandEnd(exitStatus.usage, "ICHOR_TENANT doesn't go with --offline: the credential decides the tenant");
  }
  const verifier = verifierOf({
    url,
    credential,
    audience,
    maxStaleness: Number(maxStaleness.seconds),
    clientName: "ichor tokens verify",
    clock: waitingClock,
    ...(snapshotFile !== undefined && { snapshotFile }),
    ...trustOptions(options),
    onEvent: (event) => {
      if (event.kind === "snapshot_file_ignored")
        io.stderr.write(`ichor: the snapshot file is ignored: ${event.why}\n`);
      if (event.kind === "snapshot_file_failed") io.stderr.write(`ichor: the snapshot file can't be written\n`);
    },
  });
  const late = new AbortController();
  const cancel = waitingClock.schedule(() => late.abort(), Number(timeout.seconds) * 1000);
  try {
    // Whether it may answer is for `verify` to say, which tells why not.
    await verifier.ready(AbortSignal.any([late.signal, io.stop])).catch(() => {});
    return verifyResponseOf(
      await verifier.verify(token, { scopes, context, ...(clientIp !== undefined && { clientIp }) }),
    );
  } catch (error) {
    if (error instanceof TypeError) throw misuse(error);
    if (!(error instanceof VerifierUnavailableError)) throw error;
    const { lastError } = verifier.status();
    const why = lastError instanceof Error ? ` (${lastError.message})` : "";
    throw new CommandEnd(exitStatus.failed, `${error.reason}: ${error.message}${why}`);
  } finally {
    cancel();
    await verifier.close();
  }
}

function verifierOf(options: VerifierOptions): Verifier {
  try {
    return createVerifier(options);
  } catch (error) {
    throw error instanceof TypeError ? misuse(error) : error;
  }
}

/** The verifier's word for options and demands that make no sense. */
function misuse({ message }: TypeError): CommandEnd {
  return new CommandEnd(exitStatus.usage, message);
}

function linesOf({ code, tokenId, key, revision, age }: VerifyCredentialResponse): readonly string[] {
  const seconds = Number(age?.seconds ?? 0n) + (age?.nanos ?? 0) / 1e9;
  return [
    `code        ${nameOf(VerificationCode, code)}`,
    ...(tokenId === "" ? [] : [`token id    ${tokenId}`]),
    ...(key ? [`key         ${key.id}`, `scopes      ${key.scopes.join(" ")}`] : []),
    `known       as of revision ${revision}, ${seconds.toFixed(3)} s ago`,
  ];
}

function addFact(text: string, facts: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const [, name, value] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
  if (name === undefined || value === undefined) throw new InvalidArgumentError("Use name=value.");
  return { ...facts, [name]: value };
}
