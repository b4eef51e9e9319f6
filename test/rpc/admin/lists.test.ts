import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { reasonOfRejection } from "../../support/documented.ts";
import { insertTenant, startTestApp, type TestApp } from "../../support/test-app.ts";

let t: TestApp;
const ids: string[] = [];
beforeAll(async () => {
  t = await startTestApp();
  for (let i = 0; i < 25; i++) {
    t.clock.advance(1);
    const { apiKey } = await t.admin().issueApiKey({
      name: `key ${i % 5}`,
      ownerId: i % 2 === 0 ? "even" : "odd",
      labels: { n: `${i % 3}` },
      scopes: [`s:${i % 4}`],
      expiration: { case: "ttl", value: { seconds: BigInt(1000 - i) } },
    });
    ids.push(apiKey?.id ?? "");
  }
});
afterAll(() => t.close());

async function all(request: object, size = 4): Promise<string[]> {
  const found: string[] = [];
  let pageToken = "";
  do {
    const page = await t.admin().listApiKeys({ ...request, pageSize: size, pageToken });
    expect(page.apiKeys.length).toBeLessThanOrEqual(size);
    found.push(...page.apiKeys.map(({ id }) => id));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return found;
}

const of = (keep: (i: number) => boolean) => ids.filter((_, i) => keep(i)).reverse();

describe("ListApiKeys", () => {
  it("gives every key of the tenant in pages, newest first", async () => {
    const found = await all({});
    expect(found.slice(0, 25)).toEqual([...ids].reverse());
    // And the root credential.
    expect(found).toHaveLength(26);
    expect((await t.admin().listApiKeys({})).apiKeys).toHaveLength(26);
  });

  it.each([
    ['owner_id = "odd"', (i: number) => i % 2 === 1],
    ['labels.n = "0" AND owner_id = even', (i: number) => i % 6 === 0],
    ['scope = "s:1"', (i: number) => i % 4 === 1],
    ['name = "key 3"', (i: number) => i % 5 === 3],
    ['name = "key*"', () => true],
    ["status = REVOKED", () => false],
    ['last_used_time < "2030-01-01T00:00:00Z" AND scope = "s:0"', (i: number) => i % 4 === 0],
  ])("filters: %s", async (filter, keep) => {
    expect(await all({ filter })).toEqual(of(keep));
  });

  it("finds the keys that end soon, the next first", async () => {
    const filter = `expire_time < "${new Date(t.clock.now() + 990_000).toISOString()}" AND status = ACTIVE`;
    const found = await all({ filter, orderBy: "expire_time" });
    expect(found).toEqual(of((i) => i >= 10));
  });

  it("shows a tenant its own keys only", async () => {
    const tenant = await insertTenant(t, { slug: "other" });
    const there = t.admin(undefined, { "ichor-tenant": tenant });
    expect((await there.listApiKeys({})).apiKeys).toEqual([]);
  });

  it("tells the place of what is wrong with a filter", async () => {
    const call = t.admin().listApiKeys({ filter: "owner_id = a AND wrong" });
    await expect(call).rejects.toThrow("filter at character 23: expected =, < or >");
  });

  it.each([
    ["a page of over 1000", { pageSize: 1001 }],
    ["a negative page", { pageSize: -1 }],
    ["an order that there isn't", { orderBy: "owner_id" }],
    ["a token that is none", { pageToken: "x" }],
  ])("refuses %s", async (_name, request) => {
    expect(await reasonOfRejection(t.admin().listApiKeys(request))).toBe("INVALID_FIELD");
  });

  it("takes a page token for the list that gave it, as it gave it, and for no other", async () => {
    const filter = "owner_id = odd";
    const { nextPageToken } = await t.admin().listApiKeys({ filter, pageSize: 2 });
    const next = (request: object) =>
      t.admin().listApiKeys({ filter, pageSize: 2, pageToken: nextPageToken, ...request });
    expect((await next({ pageSize: 3 })).apiKeys).toHaveLength(3);
    expect(await reasonOfRejection(next({ filter: "owner_id = even" }))).toBe("INVALID_FIELD");
    expect(await reasonOfRejection(next({ orderBy: "name" }))).toBe("INVALID_FIELD");
    const tenant = await insertTenant(t, { slug: "thief" });
    const thief = t.admin(undefined, { "ichor-tenant": tenant });
    expect(await reasonOfRejection(thief.listApiKeys({ filter, pageToken: nextPageToken }))).toBe("INVALID_FIELD");
    const bytes = Buffer.from(nextPageToken, "base64url");
    for (let i = 0; i < bytes.length; i++) {
      const altered = Buffer.from(bytes);
      altered.writeUInt8((altered[i] ?? 0) ^ 1, i);
      const pageToken = altered.toString("base64url");
      expect(await reasonOfRejection(next({ pageToken })), `byte ${i}`).toBe("INVALID_FIELD");
    }
  });
});
