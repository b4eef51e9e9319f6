import { readFileSync, statSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { exposedRights, others } from "../core/file-rights.ts";
import { KeyFileError } from "../keyring/key-file-error.ts";

/**
 * Reads the listener's certificate chain and private key, in PEM. Throws KeyFileError if one can't be read, others have
 * any right on the key, either is no PEM, or the key isn't the certificate's.
 */
export function readTlsFiles({ certFile, keyFile }: { readonly certFile: string; readonly keyFile: string }): {
  readonly cert: Buffer;
  readonly key: Buffer;
} {
  const cert = read("TLS certificate", certFile);
  const key = read("TLS key", keyFile);
  // A group may well share the key of a certificate.
  const rights = exposedRights(statSync(keyFile).mode, others);
  if (rights !== undefined) {
    throw new KeyFileError(`the TLS key file ${keyFile} has mode ${rights}; others must not have it: chmod o-rwx`);
  }
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    throw new KeyFileError(`the TLS files ${certFile} and ${keyFile} can't be used: ${messageOf(cause)}`, { cause });
  }
  return { cert, key };
}

function read(what: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new KeyFileError(`the ${what} file ${path} can't be read: ${messageOf(cause)}`, { cause });
  }
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
