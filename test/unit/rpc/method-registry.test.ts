import { describe, expect, it } from "vitest";
import { Health } from "../../../gen/grpc/health/v1/health_pb.ts";
import { AdminService } from "../../../gen/ichor/v1/admin_service_pb.ts";
import { createMethodRegistry, openService, scopedService } from "../../../services/rpc/method-registry.ts";
import { type AdminMethods, fakeRpc } from "../../support/fake-server.ts";

const { registry } = fakeRpc();
const methods = Object.fromEntries(
  [...registry.unary.values(), ...registry.streams].map(({ desc, run }) => [desc.localName, run]),
) as unknown as AdminMethods;

describe("createMethodRegistry", () => {
  it("knows each unary method by its full name, with scope and limits", () => {
    expect(registry.unary.size + registry.streams.length).toBe(AdminService.methods.length);
    expect(registry.unary.get("ichor.v1.AdminService/VerifyCredential")).toMatchObject({
      access: { scope: "ichor:keys:verify" },
      requestBytesMax: 1024 * 1024,
    });
    expect(registry.unary.get("ichor.v1.AdminService/BatchVerifyCredentials")?.requestBytesMax).toBe(4 * 1024 * 1024);
  });

  it("refuses a service twice", () => {
    const admin = scopedService(AdminService, methods);
    expect(() => createMethodRegistry([admin, admin])).toThrow(TypeError);
  });
});

describe("scopedService", () => {
  it("refuses methods that are open to anyone, and those that have no implementation", () => {
    expect(() => scopedService(Health, {} as never)).toThrow(/caller/);
    expect(() => scopedService(AdminService, {} as never)).toThrow(/no implementation/);
  });
});

describe("openService", () => {
  it("refuses methods that need a scope", () => {
    expect(() => openService(AdminService, methods as never)).toThrow(/isn't open/);
  });
});
