import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { bootstrap } from "../../services/bootstrap.ts";
import { keyDigest } from "../../services/core/change-chain.ts";
import { MasterKeys } from "../../services/keyring/master-key.ts";
import { createPepper } from "../../services/keyring/peppers.ts";
import { StoreStartError } from "../../services/store/start-error.ts";
import { FakeClock } from "../fakes/clock.ts";
import { seededRandom } from "../fakes/random.ts";
import { temporaryFolder } from "../support/server-process.ts";
import { sampleAudit } from "./samples.ts";
import { openSqliteTestStore } from "./sqlite-files.ts";
import type { TestStore } from "./store.contract.ts";

const random = seededRandom("bootstrap");
const masterKeys = new MasterKeys([random(32)]);
const clock = new FakeClock();

let test: TestStore;
let folder: ReturnType<typeof temporaryFolder>;
let told: { fields: object; message: string }[];
beforeEach(async () => {
  test = await openSqliteTestStore();
  folder = temporaryFolder("bootstrap");
  told = [];
});
afterEach(async () => {
  await test.remove();
  folder.remove();
});

const tell = (fields: object, message: string) => void told.push({ fields, message });
const run = (keys = masterKeys) =>
  bootstrap({
    store: test.store,
    masterKeys: keys,
    dataDir: folder.path,
    clock,
    random,
    log: { info: tell, error: tell },
  });
const rootKeyFile = () => join(folder.path, "root.key");

describe("bootstrap", () => {
  it("is one entry of the log, audited, and names the file but not the credential", async () => {
    await run();
    const [row, ...more] = await test.store.changesAfter(0n, 10);
    expect(more).toEqual([]);
    const tenant = await test.store.getTenantBySlug("default");
    expect(row?.change).toEqual({ kind: "tenant", tenantId: tenant?.id, event: "created" });
    const [rootId] = await test.store.liveRootKeyIds(clock.now());
    const root = rootId && (await test.store.getKey(rootId));
    if (!root) throw new Error("no root");
    const [event] = await test.query("SELECT * FROM audit_event");
    expect(event).toMatchObject({ action: "Bootstrap", target: rootId, caller_key_id: null, before_digest: null });
    expect(Buffer.from(keyDigest(root)).equals(event?.after_digest as Buffer)).toBe(true);
    const credential = readFileSync(rootKeyFile(), "utf8").trim();
    expect(credential).toMatch(/^ichor_sk_/);
    expect(JSON.stringify(told)).toContain(JSON.stringify(rootKeyFile()).slice(1, -1));
    expect(JSON.stringify(told)).not.toContain(credential.slice(-49));
  });

  it("changes nothing on a store that was started before", async () => {
    await run();
    const text = readFileSync(rootKeyFile(), "utf8");
    await run();
    expect((await test.store.head()).revision).toBe(1n);
    expect(readFileSync(rootKeyFile(), "utf8")).toBe(text);
    rmSync(rootKeyFile());
    await run();
    expect(() => readFileSync(rootKeyFile())).toThrow();
  });

  it("commits nothing if the credential can't be written, and works once it can", async () => {
    mkdirSync(rootKeyFile());
    writeFileSync(join(rootKeyFile(), "in the way"), "");
    await expect(run()).rejects.toBeInstanceOf(StoreStartError);
    await expect(run()).rejects.toThrow(/root\.key/);
    expect((await test.store.head()).revision).toBe(0n);
    rmSync(rootKeyFile(), { recursive: true });
    await run();
    expect((await test.store.head()).revision).toBe(1n);
  });

  it("replaces what a first start left that couldn't commit", async () => {
    writeFileSync(rootKeyFile(), "left over\n", { mode: 0o644 });
    await run();
    expect(readFileSync(rootKeyFile(), "utf8")).toMatch(/^ichor_sk_/);
  });

  it("refuses to go on under master keys of which none opens the store's secrets, and names both", async () => {
    await run();
    const other = new MasterKeys([random(32)]);
    await expect(run(other)).rejects.toBeInstanceOf(StoreStartError);
    await expect(run(other)).rejects.toThrow(new RegExp(`${masterKeys.current.id}.*${other.current.id}`));
  });

  it("goes on if some open, and says which key is missing", async () => {
    await run();
    const other = new MasterKeys([random(32)]);
    await test.store.mutate(async (tx) => {
      await tx.insertSealedSecret(createPepper(other, clock.now(), random).row);
      const tenant = await tx.getTenantBySlug("default");
      if (tenant === undefined) throw new Error("no tenant");
      return { result: undefined, change: { kind: "secret", event: "pepper_added" }, audit: sampleAudit(tenant.id) };
    });
    told = [];
    await run();
    expect(told).toEqual([
      { fields: { masterKeyIds: other.current.id }, message: expect.stringContaining("stay sealed") },
    ]);
  });
});
