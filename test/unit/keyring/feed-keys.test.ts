import { verify } from "node:crypto";
import { beforeEach, describe, expect, it } from "vitest";
import { feedKeyId, importFeedKey, isHandedOver } from "../../../services/core/key-set/feed-key.ts";
import { FeedKeyRing, feedKey, feedKeyLeadMs, handedOver } from "../../../services/keyring/feed-keys.ts";
import type { LogEvent } from "../../../services/keyring/followed-secrets.ts";
import { MasterKeys } from "../../../services/keyring/master-key.ts";
import { type FreshSigner, newSigner } from "../../../services/keyring/signing-secret.ts";
import type { SealedSecret } from "../../../services/store/port.ts";
import { FakeClock } from "../../fakes/clock.ts";
import { seededRandom } from "../../fakes/random.ts";

const random = seededRandom();
const masterKeys = new MasterKeys([random(32)]);
const statement = Buffer.from("ichor/v1/feed");
const changed: LogEvent = { kind: "change", row: { change: { kind: "secret", event: "feed_key_changed" } } };

let clock: FakeClock;
let rows: SealedSecret[];
let tell: (event: LogEvent) => void;
let logged: string[];
beforeEach(() => {
  clock = new FakeClock();
  rows = [];
  logged = [];
});

async function load(keys = masterKeys): Promise<FeedKeyRing> {
  const ring = new FeedKeyRing({
    store: { listSealedSecrets: async () => [...rows] },
    masterKeys: keys,
    now: clock.now,
    schedule: () => () => {},
    followed: { ageMs: () => 0, subscribe: (listener) => (tell = listener) },
    log: { info: (_, message) => void logged.push(message), error: (_, message) => void logged.push(message) },
  });
  await ring.load();
  return ring;
}

type Fresh = FreshSigner<ReturnType<typeof handedOver>>;
function add(predecessor?: Fresh, inMs = 0): Fresh {
  const at = clock.now() + inMs;
  const fresh = newSigner({ masterKeys, now: clock.now, random }, feedKey, (publicJwk) =>
    predecessor ? handedOver(predecessor.key, publicJwk, at) : { activateTimeMs: at },
  ) as Fresh;
  rows.push(fresh.row);
  clock.advance(1);
  return fresh;
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("the feed keys of a running server", () => {
  it("sign by the one whose time has come, and are told with who handed over to whom, the oldest first", async () => {
    const first = add();
    const ring = await load();
    expect(ring.sign(statement)?.feedKeyId).toBe(first.key.kid);
    const second = add(first, feedKeyLeadMs);
    tell(changed);
    await settle();
    expect(ring.told.map(({ publicKey }) => feedKeyId(publicKey))).toEqual([first.key.kid, second.key.kid]);
    const [old, next] = ring.told.map(({ publicKey }) => importFeedKey(publicKey));
    expect(ring.told[1] && old && isHandedOver(ring.told[1], old)).toBe(true);
    clock.advance(feedKeyLeadMs - 2);
    expect(ring.sign(statement)?.feedKeyId).toBe(first.key.kid);
    clock.advance(1);
    const signed = ring.sign(statement);
    expect(signed?.feedKeyId).toBe(second.key.kid);
    expect(next && signed && verify(null, statement, next, signed.signature)).toBe(true);
    clock.advance(-2);
    expect(ring.sign(statement)?.feedKeyId).toBe(second.key.kid);
  });

  it("are told of once for each change, and not for what verifiers aren't told", async () => {
    const first = add();
    const ring = await load();
    let changes = 0;
    ring.onChanged(() => void changes++);
    tell(changed);
    await settle();
    expect(changes).toBe(0);
    add(first);
    tell(changed);
    await settle();
    expect([changes, logged]).toEqual([1, ["another feed key is told to verifiers"]]);
  });

  it("don't sign if none can be opened, which is logged", async () => {
    add();
    const ring = await load(new MasterKeys([random(32)]));
    expect(ring.sign(statement)).toBeUndefined();
    expect(logged).toEqual(["no feed key can be opened: feeds are sent unsigned"]);
  });

  it("are 64 at most, the latest", async () => {
    let last = add();
    for (let i = 0; i < 65; i++) last = add(last);
    const { told } = await load();
    expect(told).toHaveLength(64);
    expect(feedKeyId(told.at(-1)?.publicKey ?? Buffer.alloc(0))).toBe(last.key.kid);
  });
});
