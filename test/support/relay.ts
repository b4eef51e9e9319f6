import type { DescService, MessageInitShape } from "@bufbuild/protobuf";
import { createClient, createRouterTransport, type Transport } from "@connectrpc/connect";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import type { WatchKeySetRequestSchema } from "../../gen/ichor/v1/key_set_pb.ts";
import type { SidecarOptions } from "../../services/sidecar/build-sidecar.ts";
import type { RelayHub } from "../../services/sidecar/relay-hub.ts";
import { startTestSidecar, type TestSidecar } from "./sidecar.ts";
import type { TestApp } from "./test-app.ts";
import { issueKey, testAudience } from "./tokens.ts";
import { readWatch, type Watch } from "./watch.ts";

/** A side-car that is followed, too. */
export interface TestRelay extends TestSidecar {
  readonly hub: RelayHub;
  /** What its followers call. */
  readonly transport: Transport;
  client<S extends DescService>(service: S): ReturnType<typeof createClient<S>>;
}

/** Starts a relay of a test server, or of whatever `transport` leads to; close it after. */
export async function startTestRelay(t: TestApp, options: Partial<SidecarOptions> = {}): Promise<TestRelay> {
  const started = await startTestSidecar(t, { relay: true, ...options });
  const { relay } = started.sidecar;
  if (relay === undefined) throw new Error("it is no relay");
  const transport = createRouterTransport(relay.routes);
  return { ...started, hub: relay.hub, transport, client: (service) => createClient(service, transport) };
}

/** A credential of one that may follow. */
export async function followerCredential(t: TestApp): Promise<string> {
  const scopes = ["ichor:keyset:watch", `ichor:verify:aud:${testAudience}`];
  return (await issueKey(t, { name: "follower", scopes })).credential;
}

/** Follows a relay, event by event. */
export function watchRelay(
  relay: Pick<TestRelay, "client">,
  credential: string,
  request: Omit<MessageInitShape<typeof WatchKeySetRequestSchema>, "$typeName"> = {},
  headers: Readonly<Record<string, string>> = {},
): Watch {
  const gone = new AbortController();
  const stream = relay.client(DerivationService).watchKeySet(request, {
    signal: gone.signal,
    headers: { authorization: `Bearer ${credential}`, ...headers },
  });
  return readWatch(stream, () => gone.abort(new Error("the test is done")));
}
