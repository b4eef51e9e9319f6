import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import { lstatSync, readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { sizeDelimitedEncode } from "@bufbuild/protobuf/wire";
import { type WatchKeySetResponse, WatchKeySetResponseSchema } from "../../gen/ichor/v1/key_set_pb.ts";
import { deriveKey } from "../core/derive-key.ts";
import { exposedRights, groupAndOthers } from "../core/file-rights.ts";
import { replaceFileDurably } from "../durable-file.ts";
import type { WatchEventInit } from "../wire/key-set-snapshot.ts";
import { readSizeDelimited } from "../wire/size-delimited.ts";

const magic = Buffer.from("ichor key set 1\n");
const nonceBytes = 12;
const tagBytes = 16;
const fileBytesMax = 512 * 1024 * 1024;

/** The file can't be used; the message says why. */
export class SnapshotFileUnusable extends Error {
  override readonly name = "SnapshotFileUnusable";
}

/**
 * A key set in a file: the events that tell it, sealed with AES-256-GCM under a key that only who has the credential can
 * derive, bound to server and audience. What is in it was told to this credential; nobody else can read it, make another
 * or put that of another service in its place.
 */
export class SnapshotFile {
  readonly #path: string;
  readonly #key: Uint8Array;

  constructor(path: string, credential: string, server: string, audience: string) {
    this.#path = path;
    this.#key = deriveKey(Buffer.from(credential), "verifier-snapshot", [server, audience]);
  }

  /** Writes the events, whole or not at all, mode 0600. */
  write(events: readonly WatchKeySetResponse[]): void {
    const plain = Buffer.concat(events.map((event) => sizeDelimitedEncode(WatchKeySetResponseSchema, event)));
    const nonce = randomBytes(nonceBytes);
    const cipher = createCipheriv("aes-256-gcm", this.#key, nonce, { authTagLength: tagBytes }).setAAD(magic);
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
    replaceFileDurably(this.#path, Buffer.concat([magic, nonce, cipher.getAuthTag(), sealed]));
  }

  /** Gives the events; undefined if there is no file. Throws SnapshotFileUnusable. */
  read(): readonly WatchKeySetResponse[] | undefined {
    const stat = lstatSync(this.#path, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    if (!stat.isFile()) throw new SnapshotFileUnusable("it is no regular file");
    const rights = exposedRights(stat.mode, groupAndOthers);
    if (rights !== undefined) throw new SnapshotFileUnusable(`others may read or change it (mode ${rights})`);
    if (stat.size > fileBytesMax) throw new SnapshotFileUnusable("it is too large");
    return this.#open(this.#bytes());
  }

  #bytes(): Buffer {
    try {
      return readFileSync(this.#path);
    } catch (cause) {
      throw new SnapshotFileUnusable("it can't be read", { cause });
    }
  }

  #open(bytes: Buffer): readonly WatchKeySetResponse[] {
    const start = magic.length + nonceBytes + tagBytes;
    if (bytes.length < start || !bytes.subarray(0, magic.length).equals(magic)) {
      throw new SnapshotFileUnusable("it is no key set, or of another version");
    }
    const nonce = bytes.subarray(magic.length, magic.length + nonceBytes);
    const tag = bytes.subarray(magic.length + nonceBytes, start);
    try {
      const decipher = createDecipheriv("aes-256-gcm", this.#key, nonce, { authTagLength: tagBytes }).setAAD(magic);
      decipher.setAuthTag(tag);
      const plain = Buffer.concat([decipher.update(bytes.subarray(start)), decipher.final()]);
      return [...readSizeDelimited(WatchKeySetResponseSchema, plain)];
    } catch (cause) {
      throw new SnapshotFileUnusable("it is damaged, or of another credential, server or audience", { cause });
    }
  }
}

/** Makes an event, as the file holds it. */
export function fileEvent(event: WatchEventInit, feedKeyId = ""): WatchKeySetResponse {
  return create(WatchKeySetResponseSchema, { event, feedKeyId });
}
