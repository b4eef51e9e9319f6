import { Code, type ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { Health } from "../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.ts";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { fakeRpc, otherTenantId } from "../support/fake-server.ts";

const asRoot = { headers: { authorization: "Bearer root" } };

const reasonOf = (call: Promise<unknown>) =>
  call.then(
    () => "OK",
    (error: ConnectError) => error.findDetails(ErrorInfoSchema)[0]?.reason ?? Code[error.code],
  );

describe("the routes in memory", () => {
  it("answer as over a network, from no address", async () => {
    const client = createClient(AdminService, createRouterTransport(fakeRpc().routes));
    const { apiKey } = await client.getApiKey({ keyId: "key_1" }, asRoot);
    expect(apiKey).toMatchObject({ id: "key_1", name: "key_root", ownerId: "" });
    expect(await reasonOf(client.getApiKey({ keyId: "key_none" }, asRoot))).toBe("KEY_NOT_FOUND");
    expect(await reasonOf(client.getApiKey({ keyId: "key_1" }))).toBe("CREDENTIAL_MISSING");
    expect(await reasonOf(client.issueApiKey({}, { headers: { authorization: "Bearer reader" } }))).toBe(
      "SCOPE_MISSING",
    );
  });

  it("act in the tenant that Ichor-Tenant names", async () => {
    const client = createClient(AdminService, createRouterTransport(fakeRpc().routes));
    const headers = { ...asRoot.headers, "Ichor-Tenant": "other" };
    expect((await client.getApiKey({ keyId: "key_1" }, { headers })).apiKey?.tenantId).toBe(otherTenantId);
  });

  it("send nothing of a bug", async () => {
    const { routes, records } = fakeRpc();
    const client = createClient(AdminService, createRouterTransport(routes));
    const error = (await client.deleteApiKey({}, asRoot).catch((thrown) => thrown)) as ConnectError;
    expect(error.rawMessage).toBe("internal error");
    expect(JSON.stringify([error.rawMessage, error.findDetails(ErrorInfoSchema)])).not.toContain("secret");
    expect(records).toMatchObject([{ failure: { cause: { message: "not faked: secret detail" } } }]);
  });

  it("drain: calls are refused, health says so and ends its streams", async () => {
    const { routes, readiness } = fakeRpc();
    const transport = createRouterTransport(routes);
    const health = createClient(Health, transport);
    const states = health.watch({})[Symbol.asyncIterator]();
    expect((await states.next()).value?.status).toBe(1);
    readiness.drain();
    expect((await states.next()).value?.status).toBe(2);
    await expect(states.next()).rejects.toMatchObject({ code: Code.Unavailable });
    expect((await health.check({})).status).toBe(2);
    expect(await reasonOf(createClient(AdminService, transport).getApiKey({ keyId: "key_1" }, asRoot))).toBe(
      "DRAINING",
    );
  });

  it("end reflection when the server drains, though the client would ask more", async () => {
    const { routes, readiness } = fakeRpc();
    const reflection = createClient(ServerReflection, createRouterTransport(routes));
    async function* questions() {
      yield { messageRequest: { case: "listServices" as const, value: "" } };
      await new Promise(() => {});
    }
    const answers = reflection.serverReflectionInfo(questions())[Symbol.asyncIterator]();
    expect((await answers.next()).value?.messageResponse.case).toBe("listServicesResponse");
    const end = answers.next();
    readiness.drain();
    expect((await end).done).toBe(true);
  });

  it("serve no reflection when it is turned off", async () => {
    const reflection = createClient(ServerReflection, createRouterTransport(fakeRpc({ reflection: false }).routes));
    async function* questions() {
      yield { messageRequest: { case: "listServices" as const, value: "" } };
    }
    const reading = (async () => {
      for await (const _answer of reflection.serverReflectionInfo(questions()));
    })();
    await expect(reading).rejects.toMatchObject({ code: Code.Unimplemented });
  });
});
