/** Where this layer writes its log lines: pino's shape, fields first. Fields never hold a secret. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A log that can write the same fields into many lines for less. */
export interface ParentLog extends Log {
  /** A log whose lines begin with these fields, and that writes what this one does. */
  child(fields: object): Log;
}

export type LogLevel = keyof Log;
