import { createHmac, hash, randomBytes } from "node:crypto";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { compactVerify, createRemoteJWKSet, importJWK, jwtVerify } from "jose";
import macaroonLibrary from "macaroon";
import { idBytes, newId } from "../../dist/services/core/ids.js";
import { emptyDelta } from "../../dist/services/core/key-set/key-set-delta.js";
import { KeySetState } from "../../dist/services/core/key-set/key-set-state.js";
import { createVerifier } from "../../dist/services/verifier/index.js";
import { tell } from "./tell.mjs";

// The verifier in a process of its own, and what it is compared with. Each contender is a function that does its work
// once; `run` repeats it for some time.
const contenders = {};
let next = 0;

tell(
  async ({ url, credential, audience, jwts, macaroons, jwks, rootKey }) => {
    // Keeps one token: with several in turn, each is seen for the first time.
    const forgetful = createVerifier({ url, credential, audience, cachedTokensMax: 1 });
    const remembering = createVerifier({ url, credential, audience });
    await Promise.all([forgetful.ready(), remembering.ready()]);
    const keys = new Map(await Promise.all(jwks.map(async (jwk) => [jwk.kid, await importJWK(jwk, "EdDSA")])));
    const valid = async (verifier, token) => {
      const { code } = await verifier.verify(token, {
        scopes: ["invoices:read"],
        context: { region: "eu" },
        clientIp: "192.0.2.1",
      });
      if (code !== "VALID") throw new Error(`a token is ${code}`);
    };
    contenders["jwt, first sight"] = () => valid(forgetful, inTurn(jwts));
    contenders.jose = () => {
      const token = inTurn(jwts);
      const { kid } = JSON.parse(Buffer.from(token.slice(0, token.indexOf(".")), "base64url"));
      return compactVerify(token, keys.get(kid), { algorithms: ["EdDSA"], crit: { "ichor-cst": true } });
    };
    const remote = createRemoteJWKSet(new URL("/.well-known/jwks.json", url));
    contenders["jose, remote JWKS"] = () =>
      jwtVerify(inTurn(jwts), remote, { audience, typ: "at+jwt", algorithms: ["EdDSA"], crit: { "ichor-cst": true } });
    contenders["token seen before"] = () => valid(remembering, inTurn(jwts));
    const known = new Map(jwts.map((token) => [hash("sha256", token, "binary"), true]));
    contenders["sha-256 and map"] = async () => {
      if (!known.get(hash("sha256", inTurn(jwts), "binary"))) throw new Error("unknown");
    };
    contenders["macaroon, 5 caveats"] = () => valid(forgetful, inTurn(macaroons));
    const root = Buffer.from(rootKey, "base64");
    // libmacaroons makes the first key of the chain from the root key; that is done once.
    const first = createHmac("sha256", "macaroons-key-generator").update(root).digest();
    const parsed = macaroons.map((text) => macaroonLibrary.importMacaroon(bytesOf(text)));
    if (parsed.some(({ caveats }) => caveats.length !== 5)) throw new Error("the macaroons do not have 5 caveats");
    contenders["createHmac chain"] = async () => {
      const { identifier, caveats } = inTurn(parsed);
      let signature = createHmac("sha256", first).update(identifier).digest();
      for (const caveat of caveats) signature = createHmac("sha256", signature).update(caveat.identifier).digest();
    };
    contenders["npm macaroon"] = async () => {
      macaroonLibrary.importMacaroon(bytesOf(inTurn(macaroons))).verify(root, () => null);
    };
    const state = stateOf(1_000_000);
    const ids = Array.from({ length: checksAtOnce }, () => newId("key", Date.now(), randomBytes(10)));
    const packed = ids.map((id) => idBytes(id));
    contenders["revocation check"] = batch((i) => state.markOf(packed[i]) !== 0 || state.isTokenRevoked(packed[i]));
    contenders["revocation check, ids as text"] = batch(
      (i) => state.markOf(idBytes(ids[i])) !== 0 || state.isTokenRevoked(idBytes(ids[i])),
    );
    contenders["sha-256 of a token"] = batch(() => hash("sha256", inTurn(jwts), "binary") === "");
    return {};
  },
  {
    /** How much CPU a contender takes each time, in µs, all threads. */
    async run({ name, durationMs }) {
      const once = contenders[name];
      const before = process.cpuUsage();
      const endMs = performance.now() + durationMs;
      let count = 0;
      while (performance.now() < endMs) {
        for (let i = 0; i < 20; i++) {
          const done = once();
          count += typeof done === "number" ? done : 1;
          if (typeof done !== "number") await done;
        }
      }
      const { user, system } = process.cpuUsage(before);
      return { micros: (user + system) / count };
    },
    /** Follows a large key set: how long its snapshot takes, how long it holds up the event loop, what it takes in memory. */
    async follow({ url, credential, audience }) {
      const before = usedBytes();
      const delay = monitorEventLoopDelay({ resolution: 1 });
      delay.enable();
      const begunMs = performance.now();
      const verifier = createVerifier({ url, credential, audience, macaroons: false });
      await verifier.ready();
      const tookMs = performance.now() - begunMs;
      delay.disable();
      const { markedKeys: entries, byteLength } = verifier.status();
      const grownMiB = (usedBytes() - before) / 2 ** 20;
      await verifier.close();
      return { tookMs, stallMs: delay.max / 1e6, entries, setMiB: byteLength / 2 ** 20, grownMiB };
    },
  },
);

const checksAtOnce = 1_000;

/** Work that is too short for a call of its own. */
function batch(check) {
  return () => {
    let found = 0;
    for (let i = 0; i < checksAtOnce; i++) if (check(i)) found++;
    if (found > 0) throw new Error("an id was found that isn't there");
    return checksAtOnce;
  };
}

function stateOf(count) {
  const markedKeys = randomBytes(count * 16);
  const state = new KeySetState(1, { marks: count, tokens: count });
  const marks = new Array(count).fill(2 ** 31);
  state.apply({ ...emptyDelta, markedKeys, marks });
  return state;
}

function inTurn(list) {
  return list[next++ % list.length];
}

function bytesOf(macaroonText) {
  return Buffer.from(macaroonText.slice(macaroonText.lastIndexOf("_mc_") + 4), "base64url");
}

function usedBytes() {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
