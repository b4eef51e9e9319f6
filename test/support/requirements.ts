import { execFileSync } from "node:child_process";
import { appendFileSync } from "node:fs";
import { describe, it } from "vitest";
import { shared } from "./shared.ts";

/** What some suites need and a machine may lack. */
export type RequirementName =
  | "postgres"
  | "mariadb"
  | "redis"
  | "python"
  | "python-tokens"
  | "nginx"
  | "caddy"
  | "promtool";

export interface Requirement {
  /**
   * A suite that gets the server's URL (for python: the path of an interpreter with grpc and protobuf; for python-tokens: with PyJWT and pymacaroons; for promtool, nginx and caddy: its path).
   * Where the requirement is absent the suite is reported as not run; if ICHOR_TEST_REQUIRE names it, it fails.
   */
  describe(title: string, suite: (value: string) => void): void;
}

/** What a probe found: where the server is, or why it is not there. */
type Finding = { readonly value: string } | { readonly hint: string };

/**
 * Looks for a server that the suites of a test file need, once per file:
 *
 *     const postgres = await requirement("postgres");
 *     postgres.describe("store on PostgreSQL", (url) => …);
 *
 * A URL in the environment is taken as it is: if nothing answers there, the tests fail.
 */
export async function requirement(name: RequirementName): Promise<Requirement> {
  const finding = await probes[name]();
  return {
    describe(title, suite) {
      if ("value" in finding) describe(title, () => suite(finding.value));
      else if (isRequired(name)) failingSuite(name, title, finding.hint);
      else suiteNotRun(name, title, finding.hint);
    },
  };
}

const probes: Record<RequirementName, () => Promise<Finding>> = {
  postgres: async () => fromEnvironment("ICHOR_TEST_POSTGRES_URL") ?? (await embeddedPostgres()),
  mariadb: async () => fromEnvironment("ICHOR_TEST_MARIADB_URL") ?? { hint: "set ICHOR_TEST_MARIADB_URL" },
  redis: async () => fromEnvironment("ICHOR_TEST_REDIS_URL") ?? { hint: "set ICHOR_TEST_REDIS_URL" },
  python: async () => fromEnvironment("ICHOR_TEST_PYTHON") ?? installedPython(),
  nginx: async () => fromEnvironment("ICHOR_TEST_NGINX") ?? installedProgram("nginx", ["-v"]),
  caddy: async () => fromEnvironment("ICHOR_TEST_CADDY") ?? installedProgram("caddy", ["version"]),
  "python-tokens": async () => fromEnvironment("ICHOR_TEST_PYTHON_TOKENS") ?? pythonWithTokenLibraries(),
  promtool: async () => fromEnvironment("ICHOR_TEST_PROMTOOL") ?? installedProgram("promtool", ["--version"]),
};

function fromEnvironment(variable: string): Finding | undefined {
  const value = process.env[variable];
  return value ? { value } : undefined;
}

async function embeddedPostgres(): Promise<Finding> {
  try {
    return { value: await shared("postgres") };
  } catch (error) {
    return { hint: `set ICHOR_TEST_POSTGRES_URL; ${error instanceof Error ? error.message : error}` };
  }
}

function installedPython(): Finding {
  // The system's own comes first: a distribution's packages are not seen by others.
  for (const value of ["/usr/bin/python3", "python3"]) {
    try {
      execFileSync(value, ["-c", "import grpc, google.protobuf"], { stdio: "ignore" });
      execFileSync("protoc", ["--version"], { stdio: "ignore" });
      return { value };
    } catch {
      // Not this one.
    }
  }
  return { hint: "set ICHOR_TEST_PYTHON to an interpreter with grpcio and protobuf; install protoc" };
}

/** Debian keeps servers where the path of a user doesn't lead. */
function installedProgram(name: string, versionArgs: readonly string[]): Finding {
  for (const value of [name, `/usr/sbin/${name}`]) {
    try {
      execFileSync(value, versionArgs, { stdio: "ignore" });
      return { value };
    } catch {
      // Not this one.
    }
  }
  return { hint: `install ${name}, or set ICHOR_TEST_${name.toUpperCase()} to its program` };
}

function pythonWithTokenLibraries(): Finding {
  for (const value of ["/usr/bin/python3", "python3"]) {
    try {
      execFileSync(value, ["-c", "import jwt, cryptography, pymacaroons"], { stdio: "ignore" });
      return { value };
    } catch {
      // Not this one.
    }
  }
  return { hint: "set ICHOR_TEST_PYTHON_TOKENS to an interpreter with PyJWT, cryptography and pymacaroons" };
}

function isRequired(name: RequirementName): boolean {
  return (process.env.ICHOR_TEST_REQUIRE ?? "").split(",").includes(name);
}

function failingSuite(name: RequirementName, title: string, hint: string): void {
  describe(title, () => {
    it(`has ${name}, which ICHOR_TEST_REQUIRE asks for`, () => {
      throw new Error(`There is no ${name} for this suite: ${hint}.`);
    });
  });
}

function suiteNotRun(name: RequirementName, title: string, hint: string): void {
  const reportPath = process.env.ICHOR_TEST_NOT_RUN_FILE;
  if (reportPath) appendFileSync(reportPath, `${JSON.stringify({ name, hint, title })}\n`);
  describe(title, () => {
    it(`is not run without ${name}`, (context) => context.skip(hint));
  });
}
