import { describe, expect, it } from "vitest";
import { PerSecret } from "../../../services/core/per-secret.ts";
import { someKey, someVersion } from "./some-key.ts";

describe("PerSecret", () => {
  it("makes a value once for a record and a secret of it", () => {
    const values = new PerSecret<object>();
    const [key, one, two] = [someKey(), someVersion({ number: 1 }), someVersion({ number: 2 })];
    const made = values.of(key, one, () => ({}));
    expect(values.of(key, one, () => ({}))).toBe(made);
    expect(values.of(key, two, () => ({}))).not.toBe(made);
  });

  it("knows nothing of another record, though it is equal", () => {
    const values = new PerSecret<object>();
    const version = someVersion();
    const made = values.of(someKey(), version, () => ({}));
    expect(values.of(someKey(), version, () => ({}))).not.toBe(made);
  });
});
