import { X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { exposedRights, others } from "../core/file-rights.ts";
import { KeyFileError } from "../keyring/key-file-error.ts";
import type { ListenerTls } from "./listener.ts";

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
  /** undefined: clients aren't asked for a certificate. */
  readonly clients: { readonly caFile: string; readonly required: boolean } | undefined;
}

/**
 * Reads the listener's certificate chain and private key, in PEM, and the certificates of the authorities of its clients.
 * Throws KeyFileError if one can't be read, others have any right on the key, one is no PEM, the key isn't the
 * certificate's, or there is no authority.
 */
export function readTlsFiles({ certFile, keyFile, clients }: TlsFiles): ListenerTls & { readonly cert: Buffer } {
  const own = readPair(certFile, keyFile);
  if (clients === undefined) return own;
  return { ...own, clients: { ca: readAuthorities("client CA", clients.caFile), required: clients.required } };
}

export interface ClientTlsFiles {
  /** undefined: the system's authorities. */
  readonly caFile: string | undefined;
  /** undefined: no certificate is shown. */
  readonly own: { readonly certFile: string; readonly keyFile: string } | undefined;
}

/** What a client needs for TLS, in PEM. */
export interface ClientTls {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

/** The same of a client: by which authorities it knows the server, and what it shows. */
export function readClientTlsFiles({ caFile, own }: ClientTlsFiles): ClientTls {
  return {
    ...(caFile !== undefined && { ca: readAuthorities("server CA", caFile) }),
    ...(own && readPair(own.certFile, own.keyFile)),
  };
}

function readPair(certFile: string, keyFile: string): { readonly cert: Buffer; readonly key: Buffer } {
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

function readAuthorities(what: string, caFile: string): Buffer {
  const ca = read(what, caFile);
  const authorities = ca.toString("latin1").match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    // OpenSSL passes over what is none without a word, and then trusts nobody.
    if (authorities.length === 0) throw new Error("it holds no PEM certificate");
    for (const authority of authorities) new X509Certificate(authority);
  } catch (cause) {
    throw new KeyFileError(`the ${what} file ${caFile} can't be used: ${messageOf(cause)}`, { cause });
  }
  return ca;
}

/** When a certificate in PEM ends, in s since the epoch; of a chain the first. */
export function certificateEnd(cert: Buffer): number {
  return Date.parse(new X509Certificate(cert).validTo) / 1_000;
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
