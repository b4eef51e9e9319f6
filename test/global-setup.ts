import { execFile } from "node:child_process";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "./support/embedded-postgres.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Where the workers ask for what the whole run shares; see support/shared.ts. */
    sharedUrl: string;
  }
}

let server: Server;
let dist: Promise<string> | undefined;
let postgres: Promise<EmbeddedPostgres> | undefined;

/**
 * Offers the workers what all of them share: a built dist/ and an embedded PostgreSQL. Each is made once, when the first
 * suite asks for it: a run of unit tests pays nothing, and a failure fails the suites that asked.
 */
export async function setup(project: TestProject): Promise<void> {
  server = createServer(async (request, response) => {
    try {
      response.end(await share(request.url));
    } catch (error) {
      response.writeHead(503).end(error instanceof Error ? error.message : String(error));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  project.provide("sharedUrl", `http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}

export async function teardown(): Promise<void> {
  server.close();
  const started = await postgres?.catch(() => undefined);
  await started?.stop();
}

async function share(path: string | undefined): Promise<string> {
  switch (path) {
    case "/dist":
      dist ??= buildDist();
      return dist;
    case "/postgres":
      postgres ??= startEmbeddedPostgres();
      return (await postgres).url;
    default:
      throw new Error(`nothing is shared as ${path}`);
  }
}

/** By the same code as `npm start`, in a process of its own as it may compile. */
async function buildDist(): Promise<string> {
  const { stderr } = await promisify(execFile)(process.execPath, ["scripts/ensure-built.mjs"]);
  process.stderr.write(stderr);
  return "dist";
}
