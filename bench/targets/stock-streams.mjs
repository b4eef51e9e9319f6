import { createServer } from "node:http2";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { DerivationService } from "../../dist/gen/ichor/v1/derivation_service_pb.js";
import { listening, tell } from "./tell.mjs";
import { delta, snapshotEnd } from "./watch-frames.mjs";

// A stream as one writes it over connect-node's own adapter: a generator per follower, which waits for what comes.
const followers = new Set();

tell(
  async () => {
    const handler = connectNodeAdapter({
      routes: (router) => {
        router.rpc(DerivationService.method.watchKeySet, async function* (_request, { signal }) {
          const follower = { queue: [snapshotEnd], wake: () => {} };
          followers.add(follower);
          signal.addEventListener("abort", () => {
            followers.delete(follower);
            follower.wake();
          });
          while (!signal.aborted) {
            while (follower.queue.length > 0) yield follower.queue.shift();
            await new Promise((resolve) => {
              follower.wake = resolve;
            });
          }
        });
      },
    });
    return { port: await listening(createServer({ settings: { maxConcurrentStreams: 250 } }, handler)) };
  },
  {
    async publish() {
      for (const follower of followers) {
        follower.queue.push(delta);
        follower.wake();
      }
    },
  },
);
