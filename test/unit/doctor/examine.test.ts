import { describe, expect, it } from "vitest";
import type { ChangeRow } from "../../../services/core/change.ts";
import { IchorError } from "../../../services/core/errors.ts";
import type { KeyId } from "../../../services/core/ids.ts";
import { examineContents } from "../../../services/doctor/examine-contents.ts";
import { examinePeppers, examineSecrets } from "../../../services/doctor/examine-secrets.ts";
import { examineStore } from "../../../services/doctor/examine-store.ts";
import type { Finding } from "../../../services/doctor/finding.ts";
import type { SealedSecret } from "../../../services/store/port.ts";
import type { StoreProbe } from "../../../services/store/probe-store.ts";
import { StoreStartError } from "../../../services/store/start-error.ts";
import type { ServerPresence } from "../../../services/store/subscription-port.ts";

const nowMs = 1_000_000;

/** `name status` of each finding. */
const told = (findings: readonly Finding[]) => findings.map(({ name, status }) => `${name} ${status}`);

describe("doctor, of a database", () => {
  const sound: StoreProbe = { pending: [], durability: { refused: [], reported: [] }, skew: undefined };
  const of = async (changes: Partial<StoreProbe>) => {
    const { findings, usable } = await examineStore("place", async () => ({ ...sound, ...changes }));
    return { told: told(findings), usable };
  };

  it("says that one can't be reached, with the reason, and looks no further", async () => {
    const examined = await examineStore("place", async () => {
      throw new StoreStartError("the database place can't be reached");
    });
    expect(told(examined.findings)).toEqual(["store fail"]);
    expect(examined.findings[0]?.message).toContain("can't be reached");
    expect(examined.usable).toBe(false);
  });

  it("finds nothing wrong with a sound one", async () => {
    expect(await of({})).toEqual({ told: ["store ok", "migrations ok", "durability ok"], usable: true });
  });

  it("fails for pending migrations and refused settings, and warns of weak ones", async () => {
    const durability = { refused: ["a"], reported: ["b", "c"] };
    expect(await of({ pending: ["1_init"], durability })).toEqual({
      told: ["store ok", "migrations fail", "durability fail", "durability warn", "durability warn"],
      usable: false,
    });
  });

  it.each([
    [{ aheadMs: 900, uncertainMs: 0 }, "clock ok"],
    [{ aheadMs: -1_000, uncertainMs: 0 }, "clock warn"],
    [{ aheadMs: 5_000, uncertainMs: 0 }, "clock fail"],
    // A question that took six seconds says little.
    [{ aheadMs: -3_000, uncertainMs: 3_000 }, "clock ok"],
  ])("judges the clocks: %o is %s", async (skew, expected) => {
    expect((await of({ skew })).told.at(-1)).toBe(expected);
  });
});

describe("doctor, of a store's contents", () => {
  const entry = (revision: bigint, commitTimeMs: number): ChangeRow => ({
    revision,
    hash: new Uint8Array(32),
    commitTimeMs,
    change: { kind: "secret", event: "pepper_added" },
  });
  const server = (id: string, seenTimeMs: number, revision: bigint): ServerPresence => ({
    id,
    seenTimeMs,
    revision,
    wantedRevision: 0n,
  });
  const examine = (entries: readonly ChangeRow[], servers: readonly ServerPresence[], roots: readonly KeyId[]) =>
    examineContents(
      {
        head: async () => ({
          revision: entries.at(-1)?.revision ?? 0n,
          hash: new Uint8Array(32),
          storeEpoch: "epoch",
        }),
        changesAfter: async (after, limit) => entries.filter(({ revision }) => revision > after).slice(0, limit),
        liveRootKeyIds: async () => roots,
        subscriptions: { listServers: async () => servers } as never,
      },
      nowMs,
    );
  const root = "key_1" as KeyId;

  it("finds nothing wrong with one whose servers have come as far as they could when they told of it", async () => {
    // The entry came after the server had last told of itself.
    const findings = await examine([entry(1n, 0), entry(2n, nowMs)], [server("srv_1", nowMs - 4_000, 1n)], [root]);
    expect(told(findings)).toEqual(["log ok", "servers ok", "root_credential ok"]);
    expect(findings[1]?.message).toBe("1 of them follows the log");
  });

  it("fails for a server that lives, but doesn't see what was committed seconds before", async () => {
    const findings = await examine([entry(1n, 0), entry(2n, nowMs - 9_000)], [server("srv_1", nowMs, 1n)], [root]);
    expect(told(findings)).toContain("server_lag fail");
    expect(findings.find(({ name }) => name === "server_lag")?.message).toBe(
      "server srv_1 stands at revision 1, 9 s behind the log",
    );
  });

  it("counts a server that fell silent as gone", async () => {
    const findings = await examine([entry(1n, 0), entry(2n, 0)], [server("srv_1", nowMs - 20_000, 1n)], [root]);
    expect(told(findings)).toEqual(["log ok", "servers ok", "root_credential ok"]);
    expect(findings[1]?.message).toMatch(/^0 of them follow the log; 1 ended without saying so/);
  });

  it("fails where nobody can administer the store, and warns of entries from the future", async () => {
    expect(told(await examine([], [], []))).toEqual(["log ok", "servers ok", "root_credential fail"]);
    expect(told(await examine([entry(1n, nowMs + 9_000)], [], [root]))[0]).toBe("log warn");
  });
});

describe("doctor, of sealed secrets", () => {
  const secret = (id: string, masterKeyId: string): SealedSecret => ({
    id,
    purpose: "pepper",
    masterKeyId,
    sealed: new Uint8Array(1),
    createTimeMs: 0,
  });
  const examine = async (secrets: readonly SealedSecret[]) => {
    const findings = await examineSecrets(
      {
        secretsNotUnder: async (_id, afterId, limit) => secrets.filter(({ id }) => id > afterId).slice(0, limit),
      },
      {
        currentId: "new",
        has: (id) => ["new", "old"].includes(id),
        open: ({ id }) => {
          if (id === "z-damaged") throw new IchorError("SECRET_NOT_LOADED", "damaged");
        },
      },
    );
    return findings.map(({ status, message }) => `${status}: ${message}`);
  };

  it("looks at every one of them", async () => {
    const many = Array.from({ length: 250 }, (_, i) => secret(`s${String(i).padStart(3, "0")}`, "new"));
    expect(await examine(many)).toEqual(["ok: all 250 open under master key new"]);
  });

  it("counts what is bound to peppers, and fails for secrets whose pepper is gone", () => {
    const current = { pepperId: "pep_2", createTimeMs: 2, current: true, live: 5 };
    const older = { pepperId: "pep_1", createTimeMs: 1, current: false, live: 3 };
    expect(examinePeppers([current, older])).toEqual([
      { name: "peppers", status: "ok", message: "5 live secrets are bound to the current one, 3 to older ones" },
    ]);
    expect(told(examinePeppers([current, { pepperId: "pep_0", current: false, live: 1 }]))).toEqual([
      "peppers fail",
      "peppers ok",
    ]);
    expect(told(examinePeppers([current, { pepperId: "pep_0", current: false, live: 0 }]))).toEqual(["peppers ok"]);
    expect(told(examinePeppers([older]))).toEqual(["peppers fail"]);
  });

  it("warns of those under an older master key, and fails for those that nothing here opens", async () => {
    expect(await examine([secret("a", "new"), secret("b", "old"), secret("c", "lost"), secret("d", "lost")])).toEqual([
      "warn: 1 are sealed under master key old, which isn't the current one",
      "fail: 2 are sealed under master key lost, which isn't loaded",
    ]);
    expect(await examine([secret("z-damaged", "new")])).toEqual(["fail: damaged: z-damaged"]);
  });
});
