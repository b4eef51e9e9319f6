/** `warn`: it works, but will not for ever, or not for everybody. `fail`: it doesn't work, or what was acknowledged is at risk. */
export type FindingStatus = "ok" | "warn" | "fail";

/** What one look at an installation gave. Holds no secret. */
export interface Finding {
  /** What was looked at; stable, for programs. */
  readonly name: string;
  readonly status: FindingStatus;
  /** What was seen, as a sentence without a full stop. */
  readonly message: string;
  /** What to do about it; only where something is to be done. */
  readonly remedy?: string;
}

export function ok(name: string, message: string): Finding {
  return { name, status: "ok", message };
}

export function warn(name: string, message: string, remedy: string): Finding {
  return { name, status: "warn", message, remedy };
}

export function fail(name: string, message: string, remedy: string): Finding {
  return { name, status: "fail", message, remedy };
}

/** What is to be said of something that threw; what isn't meant for an operator is thrown on. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) throw error;
  return error.message;
}
