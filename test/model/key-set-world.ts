import { KeySetFeeds } from "../../services/changes/key-set-feeds.ts";
import { Tail } from "../../services/changes/tail.ts";
import type { Change, ChangeRow, Head, KeyEvent } from "../../services/core/change.ts";
import { idBytes, type KeyId, newId, type TenantId, type TokenId } from "../../services/core/ids.ts";
import { markNumber } from "../../services/core/key-set/key-mark.ts";
import { packIds } from "../../services/core/key-set/key-set-delta.ts";
import { tokenMemoryMs } from "../../services/core/signing-key.ts";
import { defaultTenantSettings, type Tenant } from "../../services/core/tenant.ts";
import { KeySetHub } from "../../services/derivation/key-set-hub.ts";
import type { KeySetRecord } from "../../services/store/key-set-port.ts";
import { seededRandom } from "../fakes/random.ts";

const ids = seededRandom("key-set world");
export const tenantId = newId("ten", 0, ids(10)) as TenantId;
export const keyIds = Array.from({ length: 5 }, () => newId("key", 0, ids(10)) as KeyId);
export const tokenIds = Array.from({ length: 5 }, () => newId("tok", 0, ids(10)) as TokenId);
const silent = { info() {}, warn() {}, error() {} };

/** What is true of a tenant at a revision, told as simply as can be: not by the code that is tried. */
export interface Truth {
  readonly revoked: ReadonlySet<string>;
  readonly disabled: ReadonlySet<string>;
  readonly epochs: ReadonlyMap<string, number>;
  readonly tokens: ReadonlySet<string>;
  readonly tenantDisabled: boolean;
  readonly issuedBeforeMs: number;
}

const nothing: Truth = {
  revoked: new Set(),
  disabled: new Set(),
  epochs: new Map(),
  tokens: new Set(),
  tenantDisabled: false,
  issuedBeforeMs: 0,
};

/** What a change makes of the truth. */
function after(truth: Truth, change: Change): Truth {
  if (!("tenantId" in change) || change.tenantId !== tenantId) return truth;
  const with_ = (set: ReadonlySet<string>, names: readonly string[]) => new Set([...set, ...names]);
  const without = (set: ReadonlySet<string>, names: readonly string[]) =>
    new Set([...set].filter((name) => !names.includes(name)));
  if (change.kind === "token") {
    const names = change.tokens.map(({ tokenId }) => tokenId);
    return { ...truth, tokens: change.event === "revoked" ? with_(truth.tokens, names) : without(truth.tokens, names) };
  }
  if (change.kind === "tenant") {
    if (change.event === "disabled" || change.event === "enabled")
      return { ...truth, tenantDisabled: change.event === "disabled" };
    return { ...truth, issuedBeforeMs: change.tokensIssuedBeforeMs ?? truth.issuedBeforeMs };
  }
  if (change.kind !== "key") return truth;
  const { event, keyIds: names, tokenEpoch } = change;
  const epochs = new Map(truth.epochs);
  if (tokenEpoch !== undefined) for (const name of names) epochs.set(name, tokenEpoch);
  const next = { ...truth, epochs };
  switch (event) {
    case "revoked":
      return { ...next, revoked: with_(truth.revoked, names), disabled: without(truth.disabled, names) };
    case "disabled":
      return { ...next, disabled: with_(truth.disabled, names) };
    case "enabled":
      return { ...next, disabled: without(truth.disabled, names) };
    case "forgotten": {
      const gone = names.filter((name) => !truth.disabled.has(name));
      for (const name of gone) epochs.delete(name);
      return { ...next, revoked: without(truth.revoked, gone) };
    }
    default:
      return next;
  }
}

/** The number that a verifier should have for a key. */
export function expectedMark({ revoked, disabled, epochs }: Truth, keyId: string): number {
  const status = revoked.has(keyId) ? "REVOKED" : disabled.has(keyId) ? "DISABLED" : "LIVE";
  return markNumber({ status, tokenEpoch: epochs.get(keyId) ?? 0 });
}

interface Entry extends ChangeRow {
  readonly truth: Truth;
  /** Of the store after it. */
  readonly storeEpoch: string;
  compacted: boolean;
}

/** Names a position: a history that was restored has other hashes at the same revisions. */
function placeOf({ storeEpoch, revision, hash }: Head): string {
  return `${storeEpoch}/${revision}/${Buffer.from(hash).toString("hex")}`;
}

const firstEpoch = "e".repeat(32);

/** A store in memory with one tenant: a log that can be compacted, restored and read with a delay. */
export class WorldStore {
  storeEpoch = firstEpoch;
  /** Goes on by steps of a history, for all the same. */
  nowMs = 0;
  entries: Entry[] = [];
  #history = 0;
  /** Makes reads of a key set wait, and lets them go. */
  loads: (() => void)[] = [];
  holdLoads = false;
  /** A fault that is planted: gives what a load reads in place of the truth. */
  spoil: ((record: KeySetRecord) => KeySetRecord) | undefined;
  /** Every history that there was: what was true at each revision of it. */
  readonly #truths = new Map<string, Truth>();

  get revision(): bigint {
    return BigInt(this.entries.length);
  }

  /** What was true at a position; undefined: there never was such a revision. */
  truthAt(position: Head): Truth | undefined {
    return position.revision === 0n ? nothing : this.#truths.get(placeOf(position));
  }

  get truth(): Truth {
    return this.entries.at(-1)?.truth ?? nothing;
  }

  commit(change: Change): bigint {
    const revision = this.revision + 1n;
    const hash = Buffer.alloc(32);
    hash.writeBigUInt64BE(revision, 0);
    hash.writeUInt32BE(this.#history, 8);
    const truth = after(this.truth, change);
    const { storeEpoch } = this;
    this.entries.push({ revision, hash, commitTimeMs: Number(revision), change, truth, storeEpoch, compacted: false });
    this.#truths.set(placeOf({ storeEpoch: this.storeEpoch, revision, hash }), truth);
    return revision;
  }

  /** Erases payloads of a prefix, never the newest. */
  compact(count: number): void {
    for (const entry of this.entries.slice(0, Math.min(count, this.entries.length - 1))) entry.compacted = true;
  }

  /** What a restore of a backup does: the end of the history is gone, and another one begins. */
  restore(count: number): void {
    this.entries = this.entries.slice(0, Math.max(0, this.entries.length - count));
    this.storeEpoch = this.entries.at(-1)?.storeEpoch ?? firstEpoch;
    this.#history++;
  }

  /** What `store new-epoch`, or a server that sees a fork, does. */
  newEpoch(): void {
    this.storeEpoch = this.#history.toString(16).padStart(8, "0").concat(this.revision.toString(16).padStart(24, "0"));
    this.commit({ kind: "tenant", tenantId, event: "tokens_revoked", tokensIssuedBeforeMs: Number(this.revision) + 1 });
  }

  onCommit(): void {}

  checkHead(): void {}

  async head(): Promise<Head> {
    return this.#head();
  }

  async changesAfter(afterRevision: bigint, limit: number): Promise<readonly ChangeRow[]> {
    return this.entries.filter(({ revision, compacted }) => revision > afterRevision && !compacted).slice(0, limit);
  }

  async compactedThrough(): Promise<bigint> {
    return BigInt(this.entries.findLastIndex(({ compacted }) => compacted) + 1);
  }

  async loadKeySet(): Promise<KeySetRecord | undefined> {
    const { truth } = this;
    const marked = keyIds.filter((id) => expectedMark(truth, id) !== 0);
    const tenant: Tenant = {
      id: tenantId,
      slug: "default",
      name: "",
      state: truth.tenantDisabled ? "DISABLED" : "ACTIVE",
      settings: defaultTenantSettings,
      createTimeMs: 0,
      updateTimeMs: 0,
      tokensIssuedBeforeMs: truth.issuedBeforeMs,
    };
    const record: KeySetRecord = {
      head: this.#head(),
      tenant,
      markedKeys: packIds(marked),
      marks: marked.map((id) => expectedMark(truth, id)),
      revokedTokens: packIds([...truth.tokens] as TokenId[]),
      signingKeys: [],
    };
    if (this.holdLoads) await new Promise<void>((resolve) => void this.loads.push(resolve));
    return this.spoil?.(record) ?? record;
  }

  #head(): Head {
    return {
      revision: this.revision,
      hash: this.entries.at(-1)?.hash ?? new Uint8Array(32),
      storeEpoch: this.storeEpoch,
    };
  }
}

/** A server process on the store: what follows the log and tells subscribers. Its timers run when the world says so. */
export class WorldServer {
  readonly tail: Tail;
  readonly hub: KeySetHub;
  readonly drain = new AbortController();
  #timers: { readonly callback: () => void; readonly delayMs: number }[] = [];

  /** @param drops a fault that is planted: an entry that the feeds never hear of */
  constructor(store: WorldStore, drops: (row: ChangeRow) => boolean = () => false) {
    const clock = { now: () => store.nowMs, monotonicMs: () => 0 };
    const schedule = (callback: () => void, delayMs: number) => {
      const timer = { callback, delayMs };
      this.#timers.push(timer);
      return () => {
        this.#timers = this.#timers.filter((other) => other !== timer);
      };
    };
    this.tail = new Tail({ store, clock, schedule: () => () => {}, log: silent });
    const { tail } = this;
    const lossy: Pick<Tail, "position" | "subscribe" | "wake"> = {
      wake: () => tail.wake(),
      get position() {
        return tail.position;
      },
      subscribe: (listener) =>
        tail.subscribe((event) => {
          if (event.kind === "reset" || !drops(event.row)) listener(event);
        }),
    };
    const feeds = new KeySetFeeds({ store, tail: lossy });
    tail.subscribe((event) => {
      // What servers do who see a fork; the first one does it.
      if (event.kind === "reset" && event.reason === "fork" && store.storeEpoch === event.head.storeEpoch)
        store.newEpoch();
    });
    this.hub = new KeySetHub({
      feeds,
      tail: this.tail,
      keyring: { forTenant: () => Promise.reject(new Error("no audiences here")) },
      feedKeys: { sign: () => undefined, told: [], onChanged: () => {} },
      issuer: () => "https://ichor.example",
      now: () => store.nowMs,
      jitter: () => 0,
      schedule,
      drain: this.drain.signal,
      ackWanted: () => false,
      log: silent,
    });
  }

  /** Lets time pass for those who wait for this server to catch up. */
  giveUpWaits(): void {
    for (const { callback, delayMs } of [...this.#timers]) if (delayMs <= 1_000) callback();
  }

  async stop(): Promise<void> {
    this.drain.abort();
    await this.tail.stop();
  }
}

/** A change that a writer may make at random, by three random bytes. */
export function someChange([kind = 0, which = 0, more = 0]: Uint8Array, truth: Truth): Change {
  const keyId = keyIds[which % keyIds.length] as KeyId;
  const tokenId = tokenIds[which % tokenIds.length] as TokenId;
  const key = (event: KeyEvent, tokenEpoch?: number): Change => ({
    kind: "key",
    tenantId,
    event,
    keyIds: [keyId],
    ...(tokenEpoch !== undefined && { tokenEpoch }),
  });
  const revoked = truth.revoked.has(keyId);
  const choices: readonly Change[] = [
    revoked ? key("deleted") : key("disabled"),
    revoked ? key("forgotten") : key("enabled"),
    key("revoked"),
    key("rotated", (truth.epochs.get(keyId) ?? 0) + 1),
    key("forgotten"),
    key("issued"),
    { kind: "token", tenantId, event: "revoked", tokens: [{ keyId, tokenId, forgetTimeMs: tokenMemoryMs }] },
    { kind: "token", tenantId, event: "forgotten", tokens: [{ keyId, tokenId, forgetTimeMs: 0 }] },
    { kind: "tenant", tenantId, event: more % 2 === 0 ? "disabled" : "enabled" },
    { kind: "secret", event: "pepper_added" },
    { kind: "key", tenantId: newId("ten", 1, ids(10)) as TenantId, event: "revoked", keyIds: [keyId] },
  ];
  return choices[kind % choices.length] as Change;
}

/** How the truth differs from what a subscriber has; undefined: not at all. */
export function difference(
  truth: Truth,
  state: {
    markOf(id: Uint8Array): number;
    isTokenRevoked(id: Uint8Array): boolean;
    readonly markCount: number;
    readonly tokenCount: number;
    readonly tenantDisabled: boolean;
    readonly issuedBeforeMs: number;
  },
): string | undefined {
  for (const id of keyIds) {
    const [has, should] = [state.markOf(idBytes(id)), expectedMark(truth, id)];
    if (has !== should) return `${id} has mark ${has} instead of ${should}`;
  }
  for (const id of tokenIds) {
    if (state.isTokenRevoked(idBytes(id)) !== truth.tokens.has(id)) return `${id} is wrong`;
  }
  if (state.tenantDisabled !== truth.tenantDisabled) return "the tenant's state is wrong";
  if (state.issuedBeforeMs !== truth.issuedBeforeMs) return "the end of tokens is wrong";
  return undefined;
}
