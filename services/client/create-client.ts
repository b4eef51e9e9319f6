import { type Client, createClient, type Interceptor, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { SelfService } from "../../gen/ichor/v1/self_service_pb.ts";

export interface IchorClientOptions {
  /** Base URL of the server, as `https://keys.example`; or `transport`. */
  readonly url?: string;
  /** How to reach the server, if not by Connect over HTTP/2 to `url`; it must send the credential itself. */
  readonly transport?: Transport;
  /** A key, or a JWT whose sole audience is the issuer. */
  readonly credential?: string;
  /** Id or slug of the tenant to act on, if not the credential's own. */
  readonly tenant?: string;
  /** With `url`: headers of each call besides, as the `traceparent` that OpenTelemetry's `propagation.inject` writes; asked each time. */
  readonly headers?: () => Readonly<Record<string, string>>;
}

/** The services of a server, with typed methods. */
export interface IchorClient {
  readonly admin: Client<typeof AdminService>;
  readonly self: Client<typeof SelfService>;
  readonly derivation: Client<typeof DerivationService>;
}

/** Makes a client. Throws TypeError for options that make no sense. */
export function createIchorClient({ url, transport, credential, tenant, headers }: IchorClientOptions): IchorClient {
  if ((url === undefined) === (transport === undefined)) throw new TypeError("give either url or transport");
  const authorize: Interceptor = (next) => (request) => {
    for (const [name, value] of Object.entries(headers?.() ?? {})) request.header.set(name, value);
    if (credential !== undefined) request.header.set("authorization", `Bearer ${credential}`);
    if (tenant !== undefined) request.header.set("ichor-tenant", tenant);
    return next(request);
  };
  const line = transport ?? createConnectTransport({ baseUrl: url ?? "", httpVersion: "2", interceptors: [authorize] });
  return {
    admin: createClient(AdminService, line),
    self: createClient(SelfService, line),
    derivation: createClient(DerivationService, line),
  };
}
