import { describe, expect, it } from "vitest";
import { Authorization } from "../../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { ServerReflection } from "../../../gen/grpc/reflection/v1/reflection_pb.ts";
import { ServerReflection as ServerReflectionAlpha } from "../../../gen/grpc/reflection/v1alpha/reflection_pb.ts";
import { AdminService } from "../../../gen/ichor/v1/admin_service_pb.ts";
import { DerivationService } from "../../../gen/ichor/v1/derivation_service_pb.ts";
import { SelfService } from "../../../gen/ichor/v1/self_service_pb.ts";
import { isReserved, isScope } from "../../../services/core/scopes.ts";
import { accessTable } from "../../../services/rpc/access.ts";
import { fullMethodName } from "../../../services/rpc/method-registry.ts";
import { fakeRpc } from "../../support/fake-server.ts";
import { commentsOf } from "../../support/proto-comments.ts";

describe("accessTable", () => {
  it("names every method of every registered service, and nothing else", () => {
    const { services } = fakeRpc().registry;
    expect(services).toEqual(expect.arrayContaining([AdminService, Health, ServerReflection, ServerReflectionAlpha]));
    // The last by side-cars alone.
    const all = [...services, DerivationService, SelfService, Authorization];
    const served = all.flatMap(({ methods }) => methods.map(fullMethodName));
    expect(Object.keys(accessTable).sort()).toEqual(served.sort());
  });

  it("opens health and reflection, and nothing else", () => {
    const open = Object.entries(accessTable).filter(([, access]) => "open" in access);
    expect(open.map(([name]) => name.split("/")[0])).toEqual([
      Health.typeName,
      Health.typeName,
      ServerReflection.typeName,
      ServerReflectionAlpha.typeName,
    ]);
  });

  it.each([
    [AdminService, "admin_service"],
    [DerivationService, "derivation_service"],
    [SelfService, "self_service"],
  ])("asks of each method of %s what the proto's `Callers:` line promises", ({ typeName, methods }, file) => {
    const comments = commentsOf(`ichor/v1/${file}.proto`, /^\s*rpc (\w+)\(/);
    expect(comments.size).toBe(methods.length);
    for (const [name, comment] of comments) {
      const scope = /^Callers: `([^`]+)`\.$/m.exec(comment)?.[1];
      const anyKey = /^Callers: any key\.$/m.test(comment);
      expect(accessTable[`${typeName}/${name}`], name).toEqual(
        anyKey ? expect.objectContaining({ holder: true }) : { scope },
      );
    }
  });

  it("asks for reserved scopes only", () => {
    for (const access of Object.values(accessTable)) {
      if ("scope" in access) expect(isScope(access.scope) && isReserved(access.scope), access.scope).toBe(true);
    }
  });
});
