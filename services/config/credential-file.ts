import { readFileSync, statSync } from "node:fs";
import { exposedRights, groupAndOthers } from "../core/file-rights.ts";
import type { Faults } from "./collect.ts";

/** What is told of a credential that can't be sent. */
export const badCredential = "the credential has characters that no credential has, as spaces or a second line";

/** Whether a text is visible ASCII, as ids and credentials are: what else is there would be quoted by the error of who sends it. */
export function isHeaderText(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}

/**
 * Reads the file of a credential, white space around it cut. What is wrong, as a file that others may read, goes to
 * `faults`, and "" is given.
 *
 * @param setting what names another file
 */
export function readCredentialFile(path: string, setting: string, faults: Faults): string {
  try {
    const rights = exposedRights(statSync(path).mode, groupAndOthers);
    if (rights !== undefined) {
      faults.add(`the credential file ${path} has mode ${rights}; it must be its owner's only: chmod 600`);
    }
    const credential = readFileSync(path, "utf8").trim();
    // An empty one, too.
    if (!isHeaderText(credential)) faults.add(badCredential);
    return credential;
  } catch (error) {
    faults.add(`no credential: ${path} can't be read (${(error as NodeJS.ErrnoException).code}); set ${setting}`);
    return "";
  }
}
