import { describe, expect, it } from "vitest";
import { MasterKeys } from "../../../services/keyring/master-key.ts";
import { masterKeyIdOf, open, type SealedPlace, seal } from "../../../services/keyring/seal.ts";
import { seededRandom } from "../../fakes/random.ts";

const [older, newer] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
const keys = new MasterKeys([older]);
const place: SealedPlace = { tenantId: "ten_1", table: "sealed_secret", rowId: "row" };
const plaintext = Buffer.from("a secret of some length");
const sealed = seal(keys, place, plaintext, seededRandom());

describe("seal and open", () => {
  it("give the bytes back, also none", () => {
    expect(Buffer.from(open(keys, place, sealed))).toEqual(plaintext);
    const empty = seal(keys, place, new Uint8Array(0), seededRandom());
    expect(open(keys, place, empty)).toHaveLength(0);
  });

  it("open under an older key, and seal under the current one", () => {
    const both = new MasterKeys([newer, older]);
    expect(Buffer.from(open(both, place, sealed))).toEqual(plaintext);
    const resealed = seal(both, place, plaintext, seededRandom());
    expect(masterKeyIdOf(resealed)).toBe(both.current.id);
    expect(masterKeyIdOf(resealed)).not.toBe(masterKeyIdOf(sealed));
  });

  it("say which master key is missing", () => {
    expect(() => open(new MasterKeys([newer]), place, sealed)).toThrow(
      expect.objectContaining({ reason: "SECRET_NOT_LOADED", metadata: { master_key_id: keys.current.id } }),
    );
  });

  it("refuse every flipped bit", () => {
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const altered = Uint8Array.from(sealed);
      altered[bit >> 3] = (altered[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(() => open(keys, place, altered), `bit ${bit}`).toThrow(
        expect.objectContaining({ reason: "SECRET_NOT_LOADED" }),
      );
    }
  });

  it("refuse every shortened text, so also a short tag", () => {
    for (let length = 0; length < sealed.length; length++) {
      expect(() => open(keys, place, sealed.subarray(0, length))).toThrow(/damaged/);
    }
  });

  it.each([
    ["tenant", { ...place, tenantId: "ten_2" }],
    ["no tenant", { table: place.table, rowId: place.rowId }],
    ["table", { ...place, table: "other" }],
    ["row", { ...place, rowId: "other" }],
    ["division of the same letters", { ...place, table: "sealed_secretr", rowId: "ow" }],
  ])("refuse another place: %s", (_name, other) => {
    expect(() => open(keys, other, sealed)).toThrow(/damaged or out of its place/);
  });
});
