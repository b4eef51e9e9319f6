import { hash } from "node:crypto";
import type { AuthenticToken } from "../core/key-set/clear-offline.ts";

/** Longest that a token is taken for authentic without being checked again, in ms. */
export const tokenCacheMsMax = 60_000;

/**
 * Tokens that were found to be authentic, by the SHA-256 of their text: no token is kept. Only that is kept, and who made
 * it, not whether it allows a request: revocation and time are asked each time. Cleared when keys change.
 */
export class TokenCache {
  readonly #entriesMax: number;
  readonly #entries = new Map<string, { readonly token: AuthenticToken; readonly untilMs: number }>();
  #version = -1;

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** @param version of the keys that would check it */
  get(digest: string, version: number, monotonicMs: number): AuthenticToken | undefined {
    if (version !== this.#version) return undefined;
    const entry = this.#entries.get(digest);
    if (entry === undefined || entry.untilMs > monotonicMs) return entry?.token;
    this.#entries.delete(digest);
    return undefined;
  }

  /** @param lifeMs how long the token still lives */
  put(digest: string, token: AuthenticToken, version: number, monotonicMs: number, lifeMs: number): void {
    if (version !== this.#version) {
      this.#entries.clear();
      this.#version = version;
    }
    if (lifeMs <= 0) return;
    const [oldest] = this.#entries.size >= this.#entriesMax ? this.#entries.keys() : [];
    if (oldest !== undefined) this.#entries.delete(oldest);
    this.#entries.set(digest, { token, untilMs: monotonicMs + Math.min(lifeMs, tokenCacheMsMax) });
  }
}

/** What a token is cached under: its SHA-256 as text of one byte a character. */
export function tokenDigest(token: string): string {
  return hash("sha256", token, "binary");
}
