import { chmodSync } from "node:fs";
import { expect, it } from "vitest";
import { collectLog } from "../support/fake-server.ts";
import { startTestApp } from "../support/test-app.ts";

it("warns of a data directory that others may put files into", async () => {
  const first = await startTestApp();
  const log = collectLog();
  const warnings = () => log.lines.filter(({ level, fields }) => level === "warn" && "rights" in fields);
  await (await startTestApp({ log }, first)).close();
  expect(warnings()).toEqual([]);
  chmodSync(first.dataDir, 0o757);
  await (await startTestApp({ log }, first)).close();
  expect(warnings()).toMatchObject([{ fields: { path: first.dataDir, rights: "0757" } }]);
  await first.close();
});
