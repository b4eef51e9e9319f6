// A service that embeds a verifier, in a process of its own: told on standard input what to do, it tells on standard
// output what it saw. One line of JSON each.
import { createInterface } from "node:readline";
import { createVerifier } from "../../dist/services/verifier/index.js";

const { url, credential, audience, maxStaleness } = JSON.parse(process.argv[2]);
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const verifier = createVerifier({ url, credential, audience, maxStaleness });

const answerOf = async (token) => {
  try {
    const { code, age, revision } = await verifier.verify(token);
    return { code, age, revision: String(revision) };
  } catch (error) {
    return { unavailable: error.reason ?? String(error) };
  }
};

/** Verifies each token again and again, and tells when it is first refused. */
const watching = new Set();
async function lookForRefusals() {
  for (const token of watching) {
    const { code } = await answerOf(token);
    if (code !== "REVOKED") continue;
    watching.delete(token);
    tell({ refused: token, atMs: Date.now() });
  }
  if (watching.size > 0) setImmediate(lookForRefusals);
}

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, verify, watch, status, close } = JSON.parse(line);
  if (verify !== undefined) tell({ id, ...(await answerOf(verify)) });
  if (status) {
    const { ready, connected, stale, age, revision } = verifier.status();
    tell({ id, ready, connected, stale, age, revision: String(revision) });
  }
  if (watch !== undefined) {
    watching.add(watch);
    if (watching.size === 1) setImmediate(lookForRefusals);
    tell({ id });
  }
  if (close) {
    await verifier.close();
    tell({ id });
    process.exit(0);
  }
});

await verifier.ready();
tell({ ready: true });
