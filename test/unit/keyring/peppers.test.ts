import { describe, expect, it } from "vitest";
import { AnswerSealer } from "../../../services/keyring/answer-sealer.ts";
import { MasterKeys } from "../../../services/keyring/master-key.ts";
import { createPepper, LoadedPeppers, loadPeppers } from "../../../services/keyring/peppers.ts";
import type { SealedSecret } from "../../../services/store/port.ts";
import { seededRandom } from "../../fakes/random.ts";

const random = seededRandom();
const masterKeys = new MasterKeys([random(32)]);
const first = createPepper(masterKeys, 1_000, random);
const second = createPepper(masterKeys, 2_000, random);
const storing = (...rows: SealedSecret[]) => ({ listSealedSecrets: async () => rows });

describe("peppers", () => {
  it("come back from their rows, the newest as the current one", async () => {
    const peppers = await loadPeppers(storing(first.row, second.row), masterKeys);
    expect(peppers.current()).toEqual({ ...second.pepper, key: Buffer.from(second.pepper.key) });
    expect(Buffer.from(peppers.get(first.pepper.id)?.key ?? [])).toEqual(Buffer.from(first.pepper.key));
    expect(peppers.get("pep_none")).toBeUndefined();
  });

  it("are told apart from those that stay sealed", async () => {
    const otherKeys = new MasterKeys([random(32)]);
    const foreign = createPepper(otherKeys, 3_000, random);
    const peppers = await loadPeppers(storing(first.row, foreign.row), masterKeys);
    expect(peppers.current().id).toBe(first.pepper.id);
    expect(peppers.sealed.map(({ id }) => id)).toEqual([foreign.pepper.id]);
  });

  it("without any, there is no current one", () => {
    expect(() => new LoadedPeppers([]).current()).toThrow(expect.objectContaining({ reason: "SECRET_NOT_LOADED" }));
  });

  it.each([
    ["damaged", { ...first.row, sealed: Uint8Array.from(first.row.sealed, (byte, i) => (i === 30 ? byte ^ 1 : byte)) }],
    ["of another row", { ...first.row, id: second.row.id }],
    ["of another purpose", { ...first.row, purpose: "macaroon_master" }],
  ])("refuse a row that is %s", async (_name, row) => {
    await expect(loadPeppers(storing(row), masterKeys)).rejects.toMatchObject({ reason: "SECRET_NOT_LOADED" });
  });

  it("don't show in the row", () => {
    expect(Buffer.from(first.row.sealed).includes(Buffer.from(first.pepper.key))).toBe(false);
  });
});

describe("AnswerSealer", () => {
  const sealer = new AnswerSealer(masterKeys, () => new LoadedPeppers([second.pepper, first.pepper]), random);

  it("opens an answer in its own row only", () => {
    const sealed = sealer.seal("a", Buffer.from("answer"));
    expect(Buffer.from(sealer.open("a", sealed)).toString()).toBe("answer");
    expect(() => sealer.open("b", sealed)).toThrow(expect.objectContaining({ reason: "SECRET_NOT_LOADED" }));
  });

  it("gives a fingerprint key per pepper, which isn't the pepper", () => {
    const keys = sealer.fingerprintKeys().map((key) => Buffer.from(key).toString("hex"));
    expect(new Set(keys).size).toBe(2);
    expect(keys).not.toContain(Buffer.from(second.pepper.key).toString("hex"));
  });
});
