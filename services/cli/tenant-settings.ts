import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { type Command, InvalidArgumentError } from "commander";
import { type TenantSettings, TenantSettingsSchema } from "../../gen/ichor/v1/tenant_pb.ts";

/** Settings as a command line gives them, and the paths of an update mask that name what was given. */
export interface GivenSettings {
  readonly settings: TenantSettings;
  readonly paths: readonly string[];
}

const countOptions = [
  ["--keys-max <count>", "how many keys the tenant may have; 0: any number"],
  ["--keys-per-owner-max <count>", "how many keys one owner may have; 0: any number"],
  ["--imported-key-bytes-min <bytes>", "fewest bytes of a key that is imported raw"],
  ["--dead-key-retention-days <days>", "delete revoked and expired keys after so many days; 0: never"],
] as const;

/** Adds the options that set a tenant's settings. */
export function addSettingsOptions(command: Command, settingsHelp: string): Command {
  command.option("--settings <json>", settingsHelp, parseJson);
  for (const [flags, help] of countOptions) command.option(flags, help, parseCount);
  return command;
}

/** Gives what the options of `addSettingsOptions` said; an option of its own counts before the JSON. */
export function givenSettings(options: Readonly<Record<string, unknown>>): GivenSettings {
  const counts = countOptions.flatMap(([flags]) => {
    const name = camelCase(flags.slice(2, flags.indexOf(" ")));
    return options[name] === undefined ? [] : [[name, options[name]]];
  });
  const json = { ...(options.settings as JsonObject | undefined), ...Object.fromEntries(counts) };
  return {
    settings: fromJson(TenantSettingsSchema, json),
    paths: Object.keys(json).map((name) => `settings.${snakeCase(name)}`),
  };
}

function parseJson(text: string): JsonObject {
  try {
    const json = JSON.parse(text) as JsonObject;
    fromJson(TenantSettingsSchema, json);
    return json;
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}

function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError("Use a whole number.");
  return Number(text);
}

function camelCase(name: string): string {
  return name.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function snakeCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
