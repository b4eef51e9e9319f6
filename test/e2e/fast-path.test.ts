import type { ClientHttp2Session } from "node:http2";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { IchorError } from "../../services/core/errors.ts";
import { allowedDifferences, comparable } from "../support/allowed-differences.ts";
import { type AdminMethods, type FakeServer, startFakeServer } from "../support/fake-server.ts";
import { mutateRequest } from "../support/mutate-request.ts";
import { type UnaryCase, unaryCases } from "../support/unary-cases.ts";
import { http2Connection, sendHttp1, sendHttp2, type WireAnswer } from "../support/wire-requests.ts";

const cases = unaryCases();
/** Of each case one. Those who go away are left: a mutant that reaches no method leaves no record to wait for. */
const mutants = cases
  .filter(({ request }) => request.goAwayAfter === undefined)
  .map(({ name, version, request }, seed) => ({
    name: `mutant ${seed} of ${name}`,
    version,
    request: mutateRequest(request, seed),
  }));

/** Tells what it was asked and by whom, or fails as the credential says. */
const verifyCredential: AdminMethods["verifyCredential"] = async (request, call) => {
  const { credential, requiredScopes, audience, clientIp, context, minRevision, noCache } = request;
  switch (credential) {
    case "not-found":
      throw new IchorError("KEY_NOT_FOUND", "no such key: “x” (100 %)", { metadata: { key_id: "key_x" } });
    case "violations":
      throw new IchorError("INVALID_FIELD", "two fields", {
        violations: [
          { field: "a", description: "is wrong" },
          { field: "b[1]", description: "is too" },
        ],
      });
    case "unavailable":
      throw new IchorError("STORE_UNAVAILABLE", "the store can't answer now", { retryAfterMs: 1_500 });
    case "bug":
      throw new Error("secret detail");
  }
  return {
    valid: true,
    code: 14,
    kind: 1,
    key: {
      id: credential === "large" ? "x".repeat(5_000) : credential,
      name: call.caller.keyId,
      ownerId: `${clientIp} ${call.clientAddress} ${audience}`,
      tenantId: call.tenantId,
      scopes: requiredScopes,
      labels: context,
      metadata: { noCache, list: [1, null, { deep: "é" }] },
      expireTime: { seconds: 1_800_000_000n, nanos: 5_000_000 },
    },
    revision: minRevision,
    age: { seconds: 0n, nanos: 7_000_000 },
  };
};

interface Side {
  readonly server: FakeServer;
  http2: ClientHttp2Session;
}

let fast: Side;
let stock: Side;
beforeAll(async () => {
  fast = await side({});
  stock = await side({ stock: true });
});
afterAll(async () => {
  for (const { server, http2 } of [fast, stock]) {
    http2.destroy();
    await server.listener.drain(1_000);
  }
});

async function side(options: { stock?: boolean; methods?: Partial<AdminMethods> }): Promise<Side> {
  const server = await startFakeServer({ methods: { verifyCredential }, ...options });
  return { server, http2: http2Connection(server.port) };
}

/** What a side answers, and how it records the call. */
async function send(side: Side, { version, request }: UnaryCase): Promise<{ answer: WireAnswer; records: unknown[] }> {
  const { server } = side;
  const seen = server.records.length;
  if (side.http2.destroyed) side.http2 = http2Connection(server.port);
  const answer = await (version === "HTTP/1.1" ? sendHttp1(server.port, request) : sendHttp2(side.http2, request));
  // Who goes away learns nothing; the record comes when the server has noticed.
  if (request.goAwayAfter !== undefined)
    await vi.waitFor(() => expect(server.records.length).toBeGreaterThan(seen), { timeout: 5_000 });
  const records = server.records.slice(seen).map(({ method, open, peerAddress, caller, tenantId, failure }) => {
    const { error, level, reason } = failure ?? {};
    return { method, open, peerAddress, caller: caller?.keyId, tenantId, code: error?.code, level, reason };
  });
  return { answer: comparable(answer), records };
}

/** Compares both sides case by case; gives what they differ in, and which allowed differences were needed. */
async function compare(
  all: readonly UnaryCase[],
  one = fast,
  other = stock,
): Promise<{ differing: unknown[]; needed: Set<string> }> {
  const differing: unknown[] = [];
  const needed = new Set<string>();
  for (const unaryCase of all) {
    const [ours, theirs] = await Promise.all([send(one, unaryCase), send(other, unaryCase)]);
    let [a, b] = [ours.answer, theirs.answer];
    for (const { name, without } of allowedDifferences) {
      const [nextA, nextB] = [without(a, unaryCase), without(b, unaryCase)];
      if (!same(a, b) && (same(nextA, nextB) || distance(nextA, nextB) < distance(a, b))) needed.add(name);
      [a, b] = [nextA, nextB];
    }
    if (!same(a, b) || !same(ours.records, theirs.records)) {
      differing.push({
        name: unaryCase.name,
        fast: shown(a),
        stock: shown(b),
        records: [ours.records, theirs.records],
      });
    }
  }
  return { differing, needed };
}

const same = (a: unknown, b: unknown): boolean => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
const shown = ({ body, ...rest }: WireAnswer) => ({ ...rest, body: body.toString().slice(0, 400) });

/** In how many parts two answers differ. */
function distance(a: WireAnswer, b: WireAnswer): number {
  const names = new Set([...Object.keys(a.headers), ...Object.keys(b.headers)]);
  const headers = [...names].filter((name) => a.headers[name] !== b.headers[name]).length;
  return (
    headers + (same(a.trailers, b.trailers) ? 0 : 1) + (a.body.equals(b.body) ? 0 : 1) + (a.status === b.status ? 0 : 1)
  );
}

function sorted(value: unknown): unknown {
  if (Buffer.isBuffer(value)) return value.toString("latin1");
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value)
      .map(([name, part]): [string, unknown] => [name, sorted(part)])
      .sort(),
  );
}

describe("the fast unary path", () => {
  it("answers and records as connect-node does, but for the differences that are allowed and needed", {
    timeout: 60_000,
  }, async () => {
    expect(cases.length).toBeGreaterThanOrEqual(500);
    const { differing, needed } = await compare(cases);
    expect(differing).toEqual([]);
    expect([...needed].sort()).toEqual(allowedDifferences.map(({ name }) => name).sort());
    expect(stock.server.taken.count).toBe(0);
    expect(fast.server.taken.count).toBeGreaterThan(300);
  });

  it("answers and records mutants as connect-node does", { timeout: 60_000 }, async () => {
    expect((await compare(mutants)).differing).toEqual([]);
  });

  it("would be found out if it answered a call otherwise (a planted fault)", async () => {
    const methods: Partial<AdminMethods> = {
      verifyCredential: async (request, call) => ({ ...(await verifyCredential(request, call)), revision: 999n }),
    };
    const faulty = await side({ methods });
    const plain = cases.filter(({ name }) => name.endsWith(": a plain call"));
    const { differing } = await compare(plain, faulty);
    expect(differing).toHaveLength(plain.length);
    faulty.http2.destroy();
    await faulty.server.listener.drain(1_000);
  });
});
