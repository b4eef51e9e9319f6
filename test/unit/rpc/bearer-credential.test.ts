import { describe, expect, it } from "vitest";
import { bearerCredential, credentialLengthMax } from "../../../services/rpc/bearer-credential.ts";

describe("bearerCredential", () => {
  it.each(["Bearer abc", "bearer abc", "BEARER abc", "Bearer   abc  "])("takes %j", (header) => {
    expect(bearerCredential(header)).toBe("abc");
  });

  it.each([undefined, "", "Bearer", "Bearer ", "Bearer    ", "Basic abc", "Bearerabc", "Bearer\tabc", "abc"])(
    "misses a credential in %j",
    (header) => {
      expect(() => bearerCredential(header)).toThrow(expect.objectContaining({ reason: "CREDENTIAL_MISSING" }));
    },
  );

  it("looks at 8 KiB and no more", () => {
    expect(bearerCredential(`Bearer ${"a".repeat(credentialLengthMax)}`)).toHaveLength(credentialLengthMax);
    expect(() => bearerCredential(`Bearer ${"a".repeat(credentialLengthMax + 1)}`)).toThrow(
      expect.objectContaining({ reason: "CREDENTIAL_REFUSED" }),
    );
  });
});
