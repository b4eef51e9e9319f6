import type { JsonSchema } from "./kinds.ts";
import { type Settings, variableOf } from "./setting.ts";

/** The JSON Schema of a configuration file, for editors and checks before a roll-out. */
export function configSchema(title: string, settings: Settings): JsonSchema {
  const properties = Object.entries(settings).map(([name, setting]) => [
    name,
    {
      description: `${setting.description} Default: ${setting.fallback}. Environment: ${variableOf(name, setting)}.`,
      ...setting.kind.schema,
    },
  ]);
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title,
    type: "object",
    additionalProperties: false,
    properties: Object.fromEntries(properties),
  };
}
