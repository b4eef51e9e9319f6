import { ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { BadRequestSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { violationsMax } from "../../../services/core/field-violations.ts";
import { reasonOfRejection } from "../../support/documented.ts";
import { startTestApp, type TestApp } from "../../support/test-app.ts";

let t: TestApp;

async function violationsOfRejection(call: Promise<unknown>): Promise<string[] | undefined> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => ConnectError.from(thrown),
  );
  return error?.findDetails(BadRequestSchema)[0]?.fieldViolations.map(({ field }) => field);
}

beforeAll(async () => {
  t = await startTestApp();
});
afterAll(() => t.close());

describe("what JSON can't carry", () => {
  it.each([
    ["a number that isn't one", { a: Number.NaN }],
    ["an infinite number", { a: [{ b: Number.POSITIVE_INFINITY }] }],
  ])("is refused in metadata: %s", async (_what, metadata) => {
    const call = t.admin().issueApiKey({ name: "k", metadata, requestId: "odd" });
    expect(await violationsOfRejection(call)).toEqual(["metadata"]);
  });

  it("is refused in a field that nobody reads, where the request can be repeated", async () => {
    const createTime = { seconds: 9_000_000_000_000n, nanos: 0 };
    const call = t.admin().updateTenant({ tenant: { slug: "default", createTime }, requestId: "odd" });
    expect(await reasonOfRejection(call)).toBe("INVALID_FIELD");
  });
});

describe("an update mask", () => {
  it.each(["settings.constructor", "settings.__proto__", "settings."])("is refused if it names %s", async (path) => {
    const call = t.admin().updateTenant({ tenant: { slug: "default" }, updateMask: { paths: [path] } });
    expect(await violationsOfRejection(call)).toEqual(["update_mask"]);
  });
});

describe("very many faults", () => {
  it("are told in few words, so that the answer fits into a header", async () => {
    const request = { credential: "c", requiredScopes: Array(32).fill("no scope") };
    const call = t.admin().batchVerifyCredentials({ requests: Array(100).fill(request) });
    expect(await violationsOfRejection(call)).toHaveLength(violationsMax);
    await expect(call).rejects.toThrow(/\(and 3199 more\)/);
  });
});
