import { execFileSync } from "node:child_process";

/** Builds dist/ once before the tests that start real processes, by the same code as `npm start`. */
export function setup(): void {
  execFileSync(process.execPath, ["scripts/ensure-built.mjs"], { stdio: ["ignore", "inherit", "inherit"] });
}
