import { createRouterTransport } from "@connectrpc/connect";
import { expect, it } from "vitest";
import { DerivationService } from "../../../gen/ichor/v1/derivation_service_pb.ts";
import { ResyncReason } from "../../../gen/ichor/v1/key_set_pb.ts";
import { createVerifier } from "../../../services/verifier/create-verifier.ts";
import type { VerifierEvent } from "../../../services/verifier/options.ts";
import { FakeVerifierClock } from "../../fakes/verifier-clock.ts";
import { testAudience } from "../../support/tokens.ts";

it("tells operators when the server makes a feed begin anew", async () => {
  const transport = createRouterTransport(({ service }) => {
    service(DerivationService, {
      async *watchKeySet() {
        yield { event: { case: "subscribed", value: { subscriptionId: "sub_1" } } };
        const compacted = { feed: "public", reason: ResyncReason.COMPACTED, snapshotFollows: true };
        yield { event: { case: "resyncRequired", value: compacted } };
        yield { event: { case: "resyncRequired", value: { feed: "", reason: ResyncReason.TOO_SLOW } } };
      },
    });
  });
  const told: string[] = [];
  const verifier = await new Promise<ReturnType<typeof createVerifier>>((resolve) => {
    const onEvent = (event: VerifierEvent) => {
      if (event.kind === "resync") told.push(`${event.feed}: ${event.error}`);
      if (event.kind === "disconnected") resolve(made);
    };
    const clock = new FakeVerifierClock(0);
    const made = createVerifier({ transport, audience: testAudience, credential: "x", clock, onEvent });
  });
  expect(told).toEqual([
    "public: ResyncNeeded: the server asks to begin anew (COMPACTED)",
    "public: ResyncNeeded: the server asks to begin anew (TOO_SLOW)",
    `aud:${testAudience}: ResyncNeeded: the server asks to begin anew (TOO_SLOW)`,
  ]);
  await verifier.close();
});
