import type { DescService } from "@bufbuild/protobuf";
import { type Client, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { loadClientConfig } from "../config/client-config.ts";
import type { CliIo } from "./io.ts";

/** A client of a service with the credential, server and tenant of the environment. */
export function serviceClient<S extends DescService>(service: S, io: CliIo): Client<S> {
  const { url, credential, tenant } = loadClientConfig(io.env, io.profile);
  const identify: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${credential}`);
    if (tenant !== undefined) request.header.set("ichor-tenant", tenant);
    return next(request);
  };
  return createClient(
    service,
    createConnectTransport({ baseUrl: url, httpVersion: "1.1", interceptors: [identify], defaultTimeoutMs: 30_000 }),
  );
}

/** The same of AdminService. */
export function adminClient(io: CliIo): Client<typeof AdminService> {
  return serviceClient(AdminService, io);
}
