import type { JsonSchema } from "./kinds.ts";
import { serverSettings, variableOf } from "./settings.ts";

/** The JSON Schema of the server's configuration file, for editors and checks before a roll-out. */
export function configSchema(): JsonSchema {
  const properties = Object.entries(serverSettings).map(([name, { kind, description, fallback }]) => [
    name,
    { description: `${description} Default: ${fallback}. Environment: ${variableOf(name)}.`, ...kind.schema },
  ]);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Ichor's configuration file",
    type: "object",
    additionalProperties: false,
    properties: Object.fromEntries(properties),
  };
}
