import { ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { type ApiKey, KeyStatus } from "../../gen/ichor/v1/api_key_pb.ts";
import { VerificationCode } from "../../gen/ichor/v1/verification_pb.ts";
import { nameOf } from "../../services/wire/enums.ts";
import { codeOf, eventOf, type ModelState, type Operation, step, type Told } from "../support/key-model.ts";
import { startTestApp, type TestApp } from "../support/test-app.ts";

/** TEST_HISTORIES=1000 takes some minutes. */
const histories = Number(process.env.TEST_HISTORIES ?? 60);
const clients = 3;
const operationsOfClient = 2;

let t: TestApp;
beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

/** One call as its client saw it: between which revisions it ran, and what came of it. */
interface Observation {
  readonly operation: Operation;
  readonly requestId: string;
  readonly from: bigint;
  readonly to: bigint;
  readonly answer:
    | { readonly key: ApiKey | undefined; readonly credential: string; readonly revision: bigint }
    | undefined;
  /** Why there is no answer. */
  readonly reason: string | undefined;
}

it(`tells of ${histories} concurrent lives of keys what a simple model tells, each change made once`, {
  timeout: 60_000 + 1_500 * histories,
}, async () => {
  for (let seed = 1; seed <= histories; seed++) {
    const faults = await history(seed);
    expect(faults, `seed ${seed}`).toEqual([]);
  }
});

it("finds a change that was made twice", async () => {
  const faults = await history(0, async () => {
    const { apiKey } = await t.admin().issueApiKey({ name: "nobody asked for this" });
    return apiKey?.id ?? "";
  });
  expect(faults).not.toEqual([]);
});

/** Lets some clients work on two keys at once, some of their calls sent twice; gives what the model can't explain. */
async function history(seed: number, plant?: () => Promise<unknown>): Promise<string[]> {
  const random = seeded(seed);
  const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)] as T;
  const raw = `legacy-credential-of-history-${seed}`;
  const first: Operation[] = [
    { do: "issue", name: "issued" },
    { do: "import", name: "imported", raw, allowRevoked: false },
  ];
  const begin = (await t.app.store.head()).revision;
  const setup: Observation[] = [];
  for (const [i, operation] of first.entries()) setup.push(await send(operation, `${seed}-setup-${i}`));
  const ids = setup.map(({ answer }) => answer?.key?.id ?? "");
  const client = async (number: number): Promise<Observation[]> => {
    const seen: Observation[] = [];
    for (let i = 0; i < operationsOfClient; i++) {
      const operation = someOperation(pick, ids, raw, `${number}-${i}`);
      const requestId = `${seed}-${number}-${i}`;
      const twice = random() < 0.3;
      const sent = [send(operation, requestId), ...(twice ? [send(operation, requestId)] : [])];
      seen.push(...(await Promise.all(sent)));
      if (twice) seen.push(await send(operation, requestId));
    }
    return seen;
  };
  const all = [...setup, ...(await Promise.all(Array.from({ length: clients }, (_, i) => client(i)))).flat()];
  await plant?.();
  return explain(begin, all);
}

function someOperation(
  pick: <T>(items: readonly T[]) => T,
  ids: readonly string[],
  raw: string,
  name: string,
): Operation {
  const keyId = pick(ids);
  const what = pick([
    ...(["rotate", "rotate", "update", "update", "endGrace", "disable", "enable"] as const),
    ...(["revoke", "revoke", "delete", "delete", "import", "import"] as const),
  ]);
  switch (what) {
    case "rotate":
      return { do: what, keyId, graceSeconds: pick([0, 3600]) };
    case "update":
      return { do: what, keyId, name, scopes: pick([["a", "b"], ["a"], ["a", "c"]]) };
    case "import":
      return { do: what, name, raw, allowRevoked: pick([true, false]) };
    default:
      return { do: what, keyId };
  }
}

/** Explains every revision by one call, and every answer by the state of some revision while it ran. */
async function explain(begin: bigint, all: readonly Observation[]): Promise<string[]> {
  const faults: string[] = [];
  const states = new Map<bigint, ModelState>([[begin, { keys: new Map(), tombstones: new Set() }]]);
  const at = (revision: bigint) => states.get(revision) as ModelState;
  const madeBy = new Map<bigint, string>();
  const rows = await t.app.store.changesAfter(begin, 1_000);
  for (const { revision, change } of rows) {
    const event = change.kind === "key" ? change.event : undefined;
    const before = at(revision - 1n);
    const maker = all.find(({ operation, answer, requestId }) => {
      if (answer?.revision !== revision || eventOf[operation.do] !== event) return false;
      if ([...madeBy.values()].includes(requestId)) return false;
      const done = step(before, operation, toldBy(all, requestId));
      return "next" in done && done.next !== before;
    });
    if (maker === undefined) faults.push(`revision ${revision}: nobody's ${event}`);
    else madeBy.set(revision, maker.requestId);
    const done = maker && step(before, maker.operation, toldBy(all, maker.requestId));
    states.set(revision, done !== undefined && "next" in done ? done.next : before);
  }
  for (const seen of all) {
    const fault = seen.answer === undefined ? refusalFault(seen, at) : answerFault(seen, all, rows, at, madeBy);
    if (fault !== undefined) faults.push(`${JSON.stringify(seen.operation)} ${seen.requestId}: ${fault}`);
  }
  const last = at(begin + BigInt(rows.length));
  const raws = all.flatMap(({ operation }) => (operation.do === "import" ? operation.raw : []));
  const credentials = new Set([...all.flatMap(({ answer }) => answer?.credential || []), ...raws]);
  for (const credential of credentials) {
    const { code } = await t.admin().verifyCredential({ credential });
    const expected = codeOf(last, credential);
    if (nameOf(VerificationCode, code) !== expected)
      faults.push(`a credential is ${nameOf(VerificationCode, code)}, not ${expected}`);
  }
  return faults;
}

/** A refusal must be right at some revision while the call ran. */
function refusalFault({ operation, reason, from, to }: Observation, at: (revision: bigint) => ModelState) {
  for (let revision = from; revision <= to; revision++) {
    const done = step(at(revision), operation, { keyId: "", credential: "" });
    if ("refused" in done && done.refused === reason) return undefined;
  }
  return `refused with ${reason}`;
}

/** An answer tells the key as of its revision, whether it made it or found it so; if the kept answer was erased, as of later. */
function answerFault(
  { operation, requestId, answer }: Observation,
  all: readonly Observation[],
  rows: readonly { readonly revision: bigint }[],
  at: (revision: bigint) => ModelState,
  madeBy: ReadonlyMap<bigint, string>,
) {
  const { key, credential, revision } = answer as NonNullable<Observation["answer"]>;
  const mine = madeBy.get(revision) === requestId;
  if (!mine) {
    const done = step(at(revision), operation, { keyId: "", credential: "" });
    if (!("next" in done) || done.next !== at(revision)) return `an answer of revision ${revision} that isn't its own`;
  }
  if (operation.do === "delete") return undefined;
  const told = toldBy(all, requestId);
  const keyId = key?.id ?? told.keyId;
  if (credential !== "" && credential !== told.credential) return "another credential for the same request_id";
  const last = rows.at(-1)?.revision ?? revision;
  for (let later = revision; later <= last; later++) {
    const model = at(later).keys.get(keyId);
    if (model === undefined ? key === undefined : key !== undefined && tells(key, model)) return undefined;
    // Only a repeat may tell a later state.
    if (!mine || all.filter((other) => other.requestId === requestId).length === 1) break;
  }
  return `told ${key === undefined ? "no key" : `${key.name} ${nameOf(KeyStatus, key.status)} ${key.tokenEpoch}`} of ${revision}`;
}

function tells(key: ApiKey, model: NonNullable<ReturnType<ModelState["keys"]["get"]>>): boolean {
  return (
    key.name === model.name &&
    nameOf(KeyStatus, key.status) === model.status &&
    key.tokenEpoch === model.epoch &&
    key.secretVersions.length === model.secrets.filter(({ live }) => live).length &&
    JSON.stringify(key.scopes) === JSON.stringify(model.scopes)
  );
}

/** What the calls of one request told that no model can know. */
function toldBy(all: readonly Observation[], requestId: string): Told {
  const answers = all.filter((seen) => seen.requestId === requestId).flatMap(({ answer }) => answer ?? []);
  return {
    keyId: answers.find(({ key }) => key !== undefined)?.key?.id ?? "",
    credential: answers.find(({ credential }) => credential !== "")?.credential ?? "",
  };
}

async function send(operation: Operation, requestId: string): Promise<Observation> {
  const from = (await t.app.store.head()).revision;
  const seen = (answer: Observation["answer"], reason: string | undefined) =>
    t.app.store.head().then(({ revision: to }) => ({ operation, requestId, from, to, answer, reason }));
  try {
    const answer = await call(operation, requestId);
    const {
      apiKey: key,
      credential = "",
      revision,
    } = answer as { apiKey?: ApiKey; credential?: string; revision: bigint };
    return await seen({ key, credential, revision }, undefined);
  } catch (thrown) {
    const [info] = ConnectError.from(thrown).findDetails(ErrorInfoSchema);
    return seen(undefined, info?.reason ?? String(thrown));
  }
}

function call(operation: Operation, requestId: string): Promise<object> {
  const admin = t.admin();
  switch (operation.do) {
    case "issue":
      return admin.issueApiKey({ name: operation.name, scopes: ["a", "b"], requestId });
    case "import": {
      const { name, raw, allowRevoked } = operation;
      const secret = { case: "raw" as const, value: raw };
      return admin.importApiKey({ name, secret, scopes: ["a", "b"], allowRevoked, requestId });
    }
    case "rotate":
      return admin.rotateApiKey({
        keyId: operation.keyId,
        gracePeriod: { seconds: BigInt(operation.graceSeconds) },
        requestId,
      });
    case "update": {
      const { keyId, name, scopes } = operation;
      const updateMask = { paths: ["name", "scopes"] };
      return admin.updateApiKey({ keyId, apiKey: { name, scopes: [...scopes] }, updateMask, requestId });
    }
    case "endGrace":
      return admin.endGracePeriod({ keyId: operation.keyId, requestId });
    case "disable":
      return admin.disableApiKey({ keyId: operation.keyId, requestId });
    case "enable":
      return admin.enableApiKey({ keyId: operation.keyId, requestId });
    case "revoke":
      return admin.revokeApiKey({ keyId: operation.keyId, requestId });
    case "delete":
      return admin.deleteApiKey({ keyId: operation.keyId, requestId });
  }
}

/** Mulberry32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
