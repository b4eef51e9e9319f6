// Many verifiers in a process of their own: told on standard input what to do, it tells on standard output what they say.
// One line of JSON each.
import { createInterface } from "node:readline";
import { createVerifier } from "../../dist/services/verifier/index.js";

const { count, ...options } = JSON.parse(process.argv[2]);
const tell = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
let resyncs = 0;
let disconnected = 0;
const onEvent = ({ kind }) => {
  if (kind === "resync") resyncs++;
  if (kind === "disconnected") disconnected++;
};
const verifiers = Array.from({ length: count }, () => createVerifier({ ...options, onEvent }));

const codeOf = async (verifier, token) => {
  try {
    return (await verifier.verify(token)).code;
  } catch (error) {
    return error.reason ?? String(error);
  }
};

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { id, verify, status, close } = JSON.parse(line);
  if (verify !== undefined) {
    const codes = await Promise.all(verifiers.map((verifier) => codeOf(verifier, verify)));
    tell({ id, codes: [...new Set(codes)].sort() });
  }
  if (status) {
    const all = verifiers.map((verifier) => verifier.status());
    const revisions = all.map(({ revision }) => revision).sort((a, b) => (a < b ? -1 : 1));
    const connected = all.filter((one) => one.connected).length;
    tell({ id, connected, revision: String(revisions[0]), resyncs, disconnected });
  }
  if (close) {
    await Promise.all(verifiers.map((verifier) => verifier.close()));
    tell({ id });
    process.exit(0);
  }
});

await Promise.all(verifiers.map((verifier) => verifier.ready()));
tell({ ready: true });
