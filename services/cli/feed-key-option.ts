import { InvalidArgumentError, Option } from "commander";
import { baseUrl, type Kind, thumbprint } from "../config/kinds.ts";
import { CommandEnd, exitStatus } from "./io.ts";

/** `--feed-key <thumbprint...>`. */
export function feedKeyOption(when = ""): Option {
  const description = `${when}believe only what this feed key signed, or one that it handed over to; needs --issuer`;
  return new Option("--feed-key <thumbprint...>", description).argParser((text: string, before?: readonly string[]) => [
    ...(before ?? []),
    parsed(thumbprint, text),
  ]);
}

/** `--issuer <url>`. */
export function issuerOption(): Option {
  const description = "with --feed-key: the issuer whose feeds are believed";
  return new Option("--issuer <url>", description).argParser((text: string) => parsed(baseUrl, text));
}

/** What both say, as options of a verifier. They go together. */
export function trustOptions({ feedKey, issuer }: { readonly feedKey?: readonly string[]; readonly issuer?: string }) {
  if (feedKey === undefined && issuer === undefined) return {};
  if (feedKey !== undefined && issuer !== undefined) return { feedKeys: feedKey, issuer };
  throw new CommandEnd(exitStatus.usage, "--feed-key and --issuer go together");
}

function parsed<T>(kind: Kind<T>, text: string): T {
  try {
    return kind.parse(text);
  } catch (error) {
    throw error instanceof RangeError ? new InvalidArgumentError(`It ${error.message}.`) : error;
  }
}
