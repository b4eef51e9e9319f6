import { createClient, createRouterTransport } from "@connectrpc/connect";
import { Authorization } from "../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { buildSidecar, type Sidecar, type SidecarOptions } from "../../services/sidecar/build-sidecar.ts";
import { FakeVerifierClock } from "../fakes/verifier-clock.ts";
import type { TestApp } from "./test-app.ts";
import { issueKey, testAudience } from "./tokens.ts";
import { breakable } from "./verifier.ts";

/** Scopes of a side-car's own key. */
export const sidecarScopes = ["ichor:keyset:watch", "ichor:keys:verify", `ichor:verify:aud:${testAudience}`];

const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** Starts a side-car of a test server, called in memory, with a clock that the test moves; close it after. */
export async function startTestSidecar(t: TestApp, options: Partial<SidecarOptions> = {}) {
  const { credential } = await issueKey(t, { scopes: sidecarScopes });
  const clock = new FakeVerifierClock(t.clock.now());
  const line = breakable(createRouterTransport(t.app.routes));
  const sidecar: Sidecar = buildSidecar({
    upstream: "https://ichor.example",
    transport: line.transport,
    credential,
    audience: testAudience,
    maxStaleness: 30,
    clock,
    log: silent,
    ...options,
  });
  await sidecar.verifier.ready();
  const transport = createRouterTransport(sidecar.routes);
  return {
    sidecar,
    clock,
    disconnect: line.break,
    connect: line.mend,
    /** How often the server was asked about a credential. */
    asked: () => line.calls.filter((name) => name === "VerifyCredential").length,
    /** How often it was asked for a token. */
    derived: () => line.calls.filter((name) => name === "DeriveToken").length,
    /** The same of several at once. */
    askedTogether: () => line.calls.filter((name) => name === "BatchVerifyCredentials").length,
    keys: createClient(AdminService, transport),
    tokens: createClient(DerivationService, transport),
    envoy: createClient(Authorization, transport),
    close: () => sidecar.close(),
  };
}

export type TestSidecar = Awaited<ReturnType<typeof startTestSidecar>>;
