import { join } from "node:path";
import { apiOf, sharedNowMs } from "../lib/api.mjs";
import { forkLoad, question } from "../lib/load.mjs";
import { figure } from "../lib/report.mjs";
import { startTarget } from "../lib/target.mjs";

const audience = "https://api.example";
const revocations = 500;
const verifiesPerSecond = 200;
const others = { connections: 10, streams: 100 };

/**
 * From the call that revokes to the refusal by the verifier of another process, which is one of 1 000 that follow, while
 * others verify. The commit lies within the call, so that what passes from commit to refusal is less.
 */
export async function measureRevocations({ facts }, folder, say) {
  const call = apiOf(facts);
  const scopes = ["ichor:keyset:watch", `ichor:verify:aud:${audience}`];
  const { credential } = await call("AdminService/IssueApiKey", { name: "service", scopes });
  const crowd = forkLoad("streams");
  const url = `http://127.0.0.1:${facts.port}`;
  const target = { name: "a verifier", target: "verifier", options: () => ({ url, credential, audience }) };
  const verifier = await startTarget(target, {}, join(folder, "verifier"));
  let verifying;
  try {
    const headers = { "content-type": "application/grpc+proto", authorization: `Bearer ${credential}` };
    const path = "/ichor.v1.DerivationService/WatchKeySet";
    await question(crowd, { ask: "open", port: facts.port, path, headers, ...others });
    const keys = [];
    for (let i = 0; i < revocations; i++) keys.push(await keyWithToken(call));
    say(`1 000 verifiers follow; ${revocations} revocations`);
    verifying = setInterval(() => {
      call("AdminService/VerifyCredential", { credential: facts.credentials[0] }, facts.caller).catch(() => {});
    }, 1000 / verifiesPerSecond);
    const samples = [];
    for (const { keyId, token } of keys) {
      await verifier.ask("watch", { token });
      const begunMs = sharedNowMs();
      const [{ atMs }] = await Promise.all([verifier.ask("refusedAt"), call("AdminService/RevokeApiKey", { keyId })]);
      samples.push(atMs - begunMs);
    }
    samples.sort((a, b) => a - b);
    const at = (share) => samples[Math.min(samples.length - 1, Math.floor(samples.length * share))];
    const what = `RevokeApiKey called → refused at 1 of 1 000 verifiers, ${verifiesPerSecond} verifications/s`;
    const of = `${revocations} revocations`;
    return [
      { ...figure(`${what}: p50`, of, "ms", samples), median: at(0.5) },
      { ...figure(`${what}: p99`, of, "ms", samples, { most: 250 }), median: at(0.99) },
    ];
  } finally {
    clearInterval(verifying);
    crowd.kill();
    await verifier.stop();
  }
}

async function keyWithToken(call) {
  const { apiKey, credential } = await call("AdminService/IssueApiKey", { name: "k", scopes: ["a"] });
  const request = { format: "TOKEN_FORMAT_JWT", audiences: [audience] };
  const { token } = await call("DerivationService/DeriveToken", request, credential);
  return { keyId: apiKey.id, token };
}
