// @ts-expect-error: a script of plain JavaScript, whose types stand here.
import { readModels as read } from "../../scripts/models.mjs";

export interface Field {
  readonly name: string;
  readonly type: "String" | "BigInt" | "Int" | "Bytes";
  readonly optional: boolean;
  readonly column: string;
}

export interface Index {
  readonly name: string;
  readonly unique: boolean;
  readonly columns: readonly string[];
}

export interface ForeignKey {
  readonly column: string;
  readonly table: string;
  readonly to: string;
  readonly onDelete: string;
  readonly onUpdate: string;
}

export interface Model {
  readonly name: string;
  readonly table: string;
  readonly fields: readonly Field[];
  /** Names of columns, as in `indexes`. */
  readonly primaryKey: readonly string[];
  readonly indexes: readonly Index[];
  readonly foreignKeys: readonly ForeignKey[];
}

/** The models of a file, in its order. */
export const readModels: (path: string) => readonly Model[] = read;
