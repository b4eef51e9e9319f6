import { ConfigError } from "./config-error.ts";
import type { ConfigFile } from "./config-file.ts";
import { flagOf, type Given, type Settings, variableOf } from "./setting.ts";
import { clientSettings, configFileVariable, profileVariable, serverSettings } from "./settings.ts";
import { sidecarSettings } from "./sidecar-settings.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** Gathers faults, so that all are told at once. */
export class Faults {
  readonly #faults: string[] = [];

  /** A sentence that names the setting. */
  add(fault: string): void {
    this.#faults.push(fault);
  }

  throwIfAny(): void {
    if (this.#faults.length > 0) throw new ConfigError(this.#faults);
  }
}

/** Where settings are given, the strongest first. */
export interface Sources {
  /** What the command line says, by setting. */
  readonly flags?: Readonly<Record<string, string>> | undefined;
  readonly env: Environment;
  readonly file: ConfigFile | undefined;
}

/**
 * Reads the settings of a table: flags over the environment over the file. An empty variable isn't set, and neither is a
 * name without value in the file. What is wrong, missing, or isn't a setting, goes to `faults`.
 */
export function collect<S extends Settings>(settings: S, { flags, env, file }: Sources, faults: Faults): Given<S> {
  for (const name of Object.keys(env)) {
    if (name.startsWith("ICHOR_") && !variables.has(name)) faults.add(`${name} is not a setting of this version`);
  }
  for (const fault of file?.faults ?? []) faults.add(fault);
  for (const name of file?.values.keys() ?? []) {
    if (!Object.hasOwn(settings, name)) faults.add(`${file?.path}: ${name} is not a setting of this version`);
  }
  const given: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(settings)) {
    const { kind } = setting;
    const variable = variableOf(name, setting);
    const [inFile, inEnvironment, inFlag] = [file?.values.get(name), env[variable], flags?.[name]];
    // Each is looked at even if another hides it: it would be a fault later.
    if (inFile !== undefined) given[name] = attempt(`${file?.path}: ${name}`, () => kind.fromFile(inFile), faults);
    if (inEnvironment) given[name] = attempt(variable, () => kind.parse(inEnvironment), faults);
    if (inFlag !== undefined) given[name] = attempt(flagOf(name), () => kind.parse(inFlag), faults);
    const missing = inFile === undefined && !inEnvironment && inFlag === undefined;
    if (setting.required && missing) faults.add(`${flagOf(name)} is needed, or ${variable}, or ${name} in a file`);
  }
  return given as Given<S>;
}

/** Every variable that Ichor reads. */
const variables = new Set([
  configFileVariable,
  profileVariable,
  ...[serverSettings, clientSettings, sidecarSettings].flatMap((table: Settings) =>
    Object.entries(table).map(([name, setting]) => variableOf(name, setting)),
  ),
]);

/** Reads a value; undefined if it is none, which goes to `faults`. */
export function attempt<T>(name: string, read: () => T, faults: Faults): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    faults.add(`${name} ${error.message}`);
    return undefined;
  }
}
