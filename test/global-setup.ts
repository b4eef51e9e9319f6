import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { TestProject } from "vitest/node";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "./support/embedded-postgres.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Where workers ask for the PostgreSQL that is shared by the run; see requirements.ts. */
    serverBrokerUrl: string;
  }
}

let broker: Server;
let postgres: Promise<EmbeddedPostgres> | undefined;

/**
 * Offers the workers an embedded PostgreSQL. It is started when the first suite asks for it, so that a run of unit tests
 * pays nothing, and once for all.
 */
export async function setup(project: TestProject): Promise<void> {
  broker = createServer((_request, response) => {
    postgres ??= startEmbeddedPostgres();
    postgres.then(
      ({ url }) => response.writeHead(200).end(url),
      (error: unknown) => response.writeHead(503).end(error instanceof Error ? error.message : String(error)),
    );
  });
  await new Promise<void>((resolve) => broker.listen(0, "127.0.0.1", resolve));
  project.provide("serverBrokerUrl", `http://127.0.0.1:${(broker.address() as AddressInfo).port}/postgres`);
}

export async function teardown(): Promise<void> {
  broker.close();
  const started = await postgres?.catch(() => undefined);
  await started?.stop();
}
