import type { JsonSchema } from "./kinds.ts";
import { serverSettings, variableOf } from "./settings.ts";

/** The JSON Schema of the server's configuration file, for editors and checks before a roll-out. */
export function configSchema(): JsonSchema {
  const properties = Object.entries(serverSettings).map(([name, setting]) => [
    name,
    {
      description: `${setting.description} Default: ${setting.fallback}. Environment: ${variableOf(name, setting)}.`,
      ...setting.kind.schema,
    },
  ]);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Ichor's configuration file",
    type: "object",
    additionalProperties: false,
    properties: Object.fromEntries(properties),
  };
}
