import { describe, expect, it } from "vitest";
import {
  type Migration,
  migrationsFolder,
  pendingMigrations,
  readMigrations,
} from "../../../services/store/migrations.ts";
import { StoreStartError } from "../../../services/store/start-error.ts";

const known: readonly Migration[] = ["1_a", "2_b", "3_c"].map((name) => ({
  name,
  sql: "",
  checksum: `sum of ${name}`,
}));
const recorded = (name: string) => ({ name, checksum: `sum of ${name}`, finished: true });
const namesOf = (migrations: readonly Migration[]) => migrations.map(({ name }) => name);

describe("pendingMigrations", () => {
  it("are those that aren't recorded, in order", () => {
    expect(namesOf(pendingMigrations(known, []))).toEqual(["1_a", "2_b", "3_c"]);
    expect(namesOf(pendingMigrations(known, [recorded("1_a")]))).toEqual(["2_b", "3_c"]);
    expect(
      namesOf(
        pendingMigrations(
          known,
          known.map(({ name }) => recorded(name)),
        ),
      ),
    ).toEqual([]);
  });

  it.each([
    ["of a newer version", recorded("4_d"), /newer version.*4_d/],
    ["that an edited script made", { ...recorded("1_a"), checksum: "other" }, /1_a was edited/],
    ["between two states", { ...recorded("1_a"), finished: false }, /1_a stopped half-way/],
  ])("refuse a database %s", (_name, record, message) => {
    expect(() => pendingMigrations(known, [record])).toThrow(StoreStartError);
    expect(() => pendingMigrations(known, [record])).toThrow(message);
  });
});

it("finds the checked-in migrations", () => {
  const [init] = readMigrations(migrationsFolder("sqlite"));
  expect(init?.name).toBe("20261124000000_init");
  expect(init?.checksum).toMatch(/^[0-9a-f]{64}$/);
});
