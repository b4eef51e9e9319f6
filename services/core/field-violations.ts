import { type FieldViolation, IchorError } from "./errors.ts";

/** Collects refused fields, so that a caller learns of all of them at once (AIP-193 BadRequest). */
export class FieldViolations {
  readonly #violations: FieldViolation[] = [];

  /** Notes a refused field; `description` is public and must not repeat the value. */
  add(field: string, description: string): void {
    this.#violations.push({ field, description });
  }

  /** Notes the field unless `ok`. Gives `ok` back. */
  require(ok: boolean, field: string, description: string): boolean {
    if (!ok) this.add(field, description);
    return ok;
  }

  /** Throws INVALID_FIELD with all that was noted, if anything was. */
  throwIfAny(): void {
    const [first, ...rest] = this.#violations;
    if (first === undefined) return;
    const more = rest.length === 0 ? "" : ` (and ${rest.length} more)`;
    throw new IchorError("INVALID_FIELD", `${first.field} ${first.description}${more}`, {
      violations: this.#violations,
    });
  }
}
