import { createVerifier } from "../../dist/services/verifier/index.js";
import { tell } from "./tell.mjs";

// A service that embeds a verifier: tells when a token is first refused.
let verifier;
let watched;

tell(
  async ({ url, credential, audience }) => {
    verifier = createVerifier({ url, credential, audience, onEvent: ({ kind }) => kind === "applied" && look() });
    await verifier.ready();
    return {};
  },
  {
    async watch({ token }) {
      const { code } = await verifier.verify(token);
      if (code !== "VALID") throw new Error(`it is ${code} before it is revoked`);
      watched = { token };
      watched.refused = new Promise((resolve) => {
        watched.resolve = resolve;
      });
    },
    /** When it was, by the clock that processes share, in ms. */
    async refusedAt() {
      return { atMs: await watched.refused };
    },
  },
);

async function look() {
  if (watched === undefined) return;
  const { code } = await verifier.verify(watched.token);
  if (code === "REVOKED") watched.resolve(Number(process.hrtime.bigint()) / 1e6);
}
