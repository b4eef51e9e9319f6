import { describe, expect, it } from "vitest";
import { type Field, type Model, readModels } from "../support/models.ts";

/** What a schema says of a table, in words that models and databases share. */
export interface Table {
  readonly name: string;
  /** As `name Type`, with `?` where it may be null, in order of names. */
  readonly columns: readonly string[];
  readonly primaryKey: readonly string[];
  readonly indexes: readonly string[];
  readonly foreignKeys: readonly string[];
}

export const models = readModels("prisma/models.prisma");

/** Holds that a database has the tables of the models, and has them as they are there. */
export function describeSchema(provider: string, live: () => Promise<readonly Table[]>): void {
  describe(`the schema that the migrations make on ${provider}`, () => {
    it("has the tables of the models, and those only", async () => {
      expect(models.length).toBeGreaterThanOrEqual(10);
      const names = (await live()).map(({ name }) => name).sort();
      expect(names).toEqual(models.map(({ table }) => table).sort());
    });

    it.each(models.map((model) => [model.table, model] as const))(
      "has %s as the models have it",
      async (name, model) => {
        expect((await live()).find((table) => table.name === name)).toEqual(tableOf(model));
      },
    );
  });
}

function tableOf({ table, fields, primaryKey, indexes, foreignKeys }: Model): Table {
  return {
    name: table,
    columns: fields.map((field) => columnText(field.column, field.type, field.optional)).sort(),
    primaryKey,
    indexes: indexes.map(({ name, unique, columns }) => indexText(name, unique, columns)).sort(),
    foreignKeys: foreignKeys.map((key) => foreignKeyText(key)).sort(),
  };
}

export function columnText(name: string, type: Field["type"] | undefined, optional: boolean): string {
  return `${name} ${type}${optional ? "?" : ""}`;
}

export function indexText(name: string, unique: boolean, columns: readonly string[]): string {
  return `${name}${unique ? " unique" : ""} (${columns.join(", ")})`;
}

export function foreignKeyText(key: Model["foreignKeys"][number]): string {
  return `${key.column} -> ${key.table}.${key.to} delete ${key.onDelete} update ${key.onUpdate}`;
}
