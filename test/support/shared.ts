import { inject } from "vitest";

/** Gives what the run shares, made on demand (global-setup.ts): `dist` the folder, `postgres` a URL. Or throws why not. */
export async function shared(name: "dist" | "postgres"): Promise<string> {
  const response = await fetch(new URL(name, inject("sharedUrl")));
  const text = await response.text();
  if (!response.ok) throw new Error(text);
  return text;
}
