import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { type App, type AppDeps, buildApp } from "../../services/app.ts";
import { loadServerConfig } from "../../services/config/server-config.ts";
import { newId, type TenantId } from "../../services/core/ids.ts";
import type { Tenant } from "../../services/core/tenant.ts";
import { FakeClock } from "../fakes/clock.ts";
import { temporaryFolder } from "./server-process.ts";

/** The whole server on an embedded store of its own, called in memory, with a clock that the test moves. */
export interface TestApp {
  readonly app: App;
  readonly clock: FakeClock;
  readonly dataDir: string;
  readonly rootCredential: string;
  /** A client that calls with `credential`, and `headers` beside it. */
  admin(credential?: string, headers?: Record<string, string>): Client<typeof AdminService>;
  /** The same for any service. */
  client<S extends DescService>(service: S, credential?: string, headers?: Record<string, string>): Client<S>;
  close(): Promise<void>;
}

const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/**
 * Starts one; close it after. `on`: a second server on the store of another, with a clock of its own; `settings`: others
 * than the default ones, as variables.
 */
export async function startTestApp(
  deps: Partial<AppDeps> = {},
  on?: TestApp,
  settings: Readonly<Record<string, string>> = {},
): Promise<TestApp> {
  const folder = on ? { path: on.dataDir, remove: () => {} } : temporaryFolder("app");
  const clock = new FakeClock();
  const config = loadServerConfig({ ...settings, ICHOR_DATA_DIR: folder.path });
  const app = await buildApp(config, {
    now: clock.now,
    random: randomBytes,
    log: silent,
    issuer: () => "https://ichor.example",
    ...deps,
  });
  const transport = createRouterTransport(app.routes);
  const rootCredential = readFileSync(join(folder.path, "root.key"), "utf8").trim();
  const client: TestApp["client"] = (service, credential = rootCredential, headers = {}) => {
    const all = { authorization: `Bearer ${credential}`, ...headers };
    return withHeaders(createClient(service, transport), all);
  };
  return {
    app,
    clock,
    dataDir: folder.path,
    rootCredential,
    client,
    admin: (credential, headers) => client(AdminService, credential, headers),
    async close() {
      await app.close();
      folder.remove();
    },
  };
}

/** Makes a tenant behind the methods' back, like tenant `default` but for these fields; gives its id. */
export async function insertTenant(
  { app, clock }: TestApp,
  fields: Pick<Tenant, "slug"> & Partial<Tenant>,
): Promise<TenantId> {
  const id = newId("ten", clock.now(), randomBytes(10));
  await app.store.mutate(async (tx) => {
    const like = (await tx.getTenantBySlug("default")) as Tenant;
    await tx.insertTenant({ ...like, id, ...fields });
    const audit = { tenantId: id, action: "Test", target: id, address: "", requestId: "" };
    return { result: undefined, change: { kind: "tenant", tenantId: id, event: "created" }, audit };
  });
  return id;
}

/** The same client, each call with these headers unless it has its own options. */
function withHeaders<S extends DescService>(client: Client<S>, headers: Record<string, string>): Client<S> {
  const bound = Object.entries(client).map(([name, call]) => [
    name,
    (request: never, options?: object) =>
      (call as (request: never, options: object) => unknown)(request, { headers, ...options }),
  ]);
  return Object.fromEntries(bound) as Client<S>;
}
