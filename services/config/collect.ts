import { ConfigError } from "./config-error.ts";
import type { ConfigFile } from "./config-file.ts";
import {
  clientSettings,
  configFileVariable,
  type Given,
  profileVariable,
  type Setting,
  serverSettings,
  variableOf,
} from "./settings.ts";

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

/**
 * Reads the settings of a table: the environment over the file. An empty variable isn't set, and neither is a name
 * without value in the file. What is wrong, or isn't a setting, goes to `faults`.
 */
export function collect<S extends Readonly<Record<string, Setting<unknown>>>>(
  settings: S,
  env: Environment,
  file: ConfigFile | undefined,
  faults: Faults,
): Given<S> {
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
    const inFile = file?.values.get(name);
    // Looked at even if the environment hides it: it would be a fault later.
    if (inFile !== undefined) given[name] = attempt(`${file?.path}: ${name}`, () => kind.fromFile(inFile), faults);
    const variable = variableOf(name, setting);
    const inEnvironment = env[variable];
    if (inEnvironment) given[name] = attempt(variable, () => kind.parse(inEnvironment), faults);
  }
  return given as Given<S>;
}

/** Every variable that Ichor reads. */
const variables = new Set([
  configFileVariable,
  profileVariable,
  ...Object.entries({ ...serverSettings, ...clientSettings }).map(([name, setting]) => variableOf(name, setting)),
]);

function attempt<T>(name: string, read: () => T, faults: Faults): T | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    faults.add(`${name} ${error.message}`);
    return undefined;
  }
}
