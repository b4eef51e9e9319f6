import { readFileSync } from "node:fs";

/** The version of this release, as in package.json. */
export const version = "0.1.0";

/** Names the sources that this process was built from, in 12 hex digits; undefined if it runs from them directly. */
export function buildId(): string | undefined {
  try {
    return readFileSync(new URL("../.sources", import.meta.url), "utf8").slice(0, 12);
  } catch {
    return undefined;
  }
}
