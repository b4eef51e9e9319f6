import { describe, expect, it } from "vitest";
import { pepperLeadMs } from "../../../services/core/current-pepper.ts";
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

const laterMs = 2_000 + pepperLeadMs;
const loaded = async (nowMs: number, ...rows: SealedSecret[]) => loadPeppers(storing(...rows), masterKeys, nowMs);

describe("peppers", () => {
  it("come back from their rows", async () => {
    const { secrets: peppers } = await loaded(laterMs, first.row, second.row);
    expect(peppers.current()).toMatchObject({ id: second.pepper.id, key: Buffer.from(second.pepper.key) });
    expect(Buffer.from(peppers.get(first.pepper.id)?.key ?? [])).toEqual(Buffer.from(first.pepper.key));
    expect(peppers.get("pep_none")).toBeUndefined();
    expect(peppers.live().map(({ id }) => id)).toEqual([second.pepper.id, first.pepper.id]);
  });

  it("verify before they are bound to: a new one becomes current once every server knows it", async () => {
    const early = await loaded(laterMs - 1, first.row, second.row);
    expect(early.secrets.current().id).toBe(first.pepper.id);
    expect(early.secrets.live().map(({ id }) => id)).toEqual([first.pepper.id, second.pepper.id]);
    expect(early.changesInMs).toBe(1);
    expect((await loaded(laterMs, first.row, second.row)).changesInMs).toBeUndefined();
    // The first of a store has nobody to wait for.
    const only = await loaded(1_000, first.row);
    expect(only.secrets.current().id).toBe(first.pepper.id);
    expect(only.changesInMs).toBeUndefined();
  });

  it("are told apart from those that stay sealed", async () => {
    const otherKeys = new MasterKeys([random(32)]);
    const foreign = createPepper(otherKeys, 3_000, random);
    const { secrets: peppers } = await loaded(laterMs, first.row, foreign.row);
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
    await expect(loaded(laterMs, row)).rejects.toMatchObject({ reason: "SECRET_NOT_LOADED" });
  });

  it("don't show in the row", () => {
    expect(Buffer.from(first.row.sealed).includes(Buffer.from(first.pepper.key))).toBe(false);
  });
});

describe("AnswerSealer", () => {
  const sealer = new AnswerSealer(masterKeys, new LoadedPeppers([second.pepper, first.pepper]), random);

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
