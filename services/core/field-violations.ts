import { type FieldViolation, IchorError } from "./errors.ts";

/** How many refused fields are told at once: gRPC puts them into a header, which has to stay small enough to be sent. */
export const violationsMax = 20;

/** Collects refused fields, so that a caller learns of all of them at once (AIP-193 BadRequest). */
export class FieldViolations {
  readonly #violations: FieldViolation[] = [];
  #count = 0;

  /** Notes a refused field; `description` is public and must not repeat the value. */
  add(field: string, description: string): void {
    this.#count += 1;
    if (this.#violations.length < violationsMax) this.#violations.push({ field, description });
  }

  /** Notes the field unless `ok`. Gives `ok` back. */
  require(ok: boolean, field: string, description: string): boolean {
    if (!ok) this.add(field, description);
    return ok;
  }

  /** Throws INVALID_FIELD with what was noted, if anything was: the first 20 fields, and how many there are. */
  throwIfAny(): void {
    const [first] = this.#violations;
    if (first === undefined) return;
    const more = this.#count === 1 ? "" : ` (and ${this.#count - 1} more)`;
    throw new IchorError("INVALID_FIELD", `${first.field} ${first.description}${more}`, {
      violations: this.#violations,
    });
  }
}
