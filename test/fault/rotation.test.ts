import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { afterAll, beforeAll, expect, it } from "vitest";
import { loadServerConfig } from "../../services/config/server-config.ts";
import { newId, type TenantId } from "../../services/core/ids.ts";
import { authenticateJwt } from "../../services/core/jwt/authenticate.ts";
import { buildClaims } from "../../services/core/jwt/claims.ts";
import { readJwt, type UnverifiedJwt } from "../../services/core/jwt/read-jwt.ts";
import { signJwt } from "../../services/core/jwt/sign.ts";
import { keyIn } from "../../services/core/signing-key.ts";
import { Keyring } from "../../services/keyring/keyring.ts";
import { loadMasterKeys } from "../../services/keyring/master-key.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

// Two servers' periodic work on one store, in processes of their own, under a clock that is moved by whole periods.

const day = 86_400_000;
const rotations = 100;
const issuer = "https://ichor.example";

let t: TestApp;
let tenantId: TenantId;
const children: Worker[] = [];
const config = () => loadServerConfig({ ICHOR_DATA_DIR: t.dataDir });
beforeAll(async () => {
  t = await startTestApp();
  tenantId = (await t.app.store.getTenantBySlug("default"))?.id as TenantId;
});
afterAll(async () => {
  await Promise.all(children.map((child) => child.kill()));
  await t.close();
});

interface Worker {
  /** Sets the clock and resolves once all that is due then is done; rejects if the process ends before. */
  tend(nowMs: number): Promise<void>;
  kill(): Promise<void>;
}

async function startWorker(): Promise<Worker> {
  const script = new URL("./rotation-process.mjs", import.meta.url).pathname;
  const { databaseUrl, masterKeyFile } = config();
  const child: ChildProcess = spawn(process.execPath, [script, databaseUrl, masterKeyFile], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const closed = new Promise((resolve) => child.once("close", resolve));
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  const next = async () => {
    const { done } = await lines.next();
    if (done) throw new Error("the process ended");
  };
  await next();
  const worker: Worker = {
    async tend(nowMs) {
      child.stdin?.write(`${nowMs}\n`);
      await next();
    },
    async kill() {
      child.kill("SIGKILL");
      await closed;
    },
  };
  children.push(worker);
  return worker;
}

/** A JWT that the key which signs now makes, as a server that just loaded the keys would. */
async function sign(nowMs: number): Promise<UnverifiedJwt> {
  const claims = buildClaims({
    ...{ issuer, tenantId, ownerId: "", tokenEpoch: 0, issueTimeMs: nowMs },
    keyId: newId("key", nowMs, randomBytes(10)),
    tokenId: newId("tok", nowMs, randomBytes(10)),
    grant: { audiences: ["a"], scopes: [], expireTimeMs: nowMs + day },
  });
  return readJwt(await signJwt(claims, (await keys()).signer())) as UnverifiedJwt;
}

/** The keys as the store has them. */
function keys() {
  const masterKeys = loadMasterKeys(config().masterKeyFile);
  const keyring = new Keyring({
    ...{ store: t.app.store, masterKeys, random: randomBytes, now: t.clock.now },
    followed: { ageMs: () => 0 },
  });
  return keyring.forTenant(tenantId);
}

async function verifies(jwt: UnverifiedJwt): Promise<boolean> {
  const key = (await keys()).verificationKey(jwt.unverifiedHeader.kid);
  return (await authenticateJwt(jwt, key, issuer)).authentic;
}

it("two servers rotate 100 times, one killed amid its work: each once, and never a token without its key", async () => {
  const [first, other] = await Promise.all([startWorker(), startWorker()]);
  let one = first;
  let nowMs = t.clock.now();
  let previous = await sign(nowMs);
  const signed = new Set<string>();
  for (let i = 1; i <= rotations; i++) {
    const { store } = t.app;
    const before = keyIn(await store.tokens.listSigningKeys(tenantId), "ACTIVE");
    nowMs = before.dueTimeMs as number;
    const last = await sign(nowMs - 1);
    const work = [one.tend(nowMs), other.tend(nowMs)];
    if (i % 25 === 0) {
      const survived = Promise.allSettled(work);
      await one.kill();
      // The one that lives on has done it, whatever became of the other.
      expect((await survived)[1]?.status).toBe("fulfilled");
      one = await startWorker();
      await one.tend(nowMs);
    } else await Promise.all(work);
    const now = await store.tokens.listSigningKeys(tenantId);
    const after = keyIn(now, "ACTIVE");
    expect(after.id, `rotation ${i}`).not.toBe(before.id);
    expect(after.activateTimeMs).toBe(nowMs);
    expect(now.filter(({ state }) => state === "ACTIVE")).toHaveLength(1);
    expect(now.filter(({ state }) => state === "NEXT")).toHaveLength(1);
    expect(await verifies(last), `the last token before rotation ${i}`).toBe(true);
    expect(await verifies(previous), "a token whose key was removed a period ago").toBe(i === 1);
    signed.add(after.id);
    previous = last;
  }
  expect(signed.size).toBe(rotations);
  const all = await t.app.store.tokens.listSigningKeys(tenantId);
  // The first one, one per rotation, and the next.
  expect(all).toHaveLength(rotations + 2);
});
