import { defineConfig } from "vitest/config";
import { testLayers } from "./test/support/layers.ts";

const shared = { environment: "node", pool: "forks", hookTimeout: 60_000 } as const;

export default defineConfig({
  test: {
    // Two: the tests of time and load below must not compete with many others, and CI machines are small.
    maxWorkers: 2,
    globalSetup: ["test/global-setup.ts"],
    projects: [
      { test: { ...shared, name: "repository", include: ["test/*.test.ts"] } },
      ...testLayers.map(({ name, needsDist, timeoutMs }) => ({
        test: {
          ...shared,
          name,
          include: [`test/${name}/**/*.test.ts`],
          setupFiles: needsDist ? ["test/support/build-dist.ts"] : [],
          testTimeout: timeoutMs,
        },
      })),
    ],
  },
});
