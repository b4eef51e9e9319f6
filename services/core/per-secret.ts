import type { ApiKey, SecretVersion } from "./api-key.ts";

/**
 * What follows from a key's record and one of its secrets alone, made when it is first asked for. Records are never
 * changed, only replaced: what was made goes with its record.
 */
export class PerSecret<T> {
  readonly #made = new WeakMap<ApiKey, { readonly version: SecretVersion; readonly value: T }>();

  /** Gives what `make` gave for this secret. Only the secret that was asked for last is remembered: few keys have two. */
  of(key: ApiKey, version: SecretVersion, make: () => T): T {
    const made = this.#made.get(key);
    if (made?.version === version) return made.value;
    const value = make();
    this.#made.set(key, { version, value });
    return value;
  }
}
