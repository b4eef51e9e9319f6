import { createHash } from "node:crypto";
import { IchorError } from "../core/errors.ts";
import { parseId, type TenantId } from "../core/ids.ts";
import { defaultTenantSlug, issuerOf, type Tenant } from "../core/tenant.ts";
import type { Keyring } from "../keyring/keyring.ts";
import { type PlainAnswer, type PlainEndpoint, type PlainEndpoints, unlessKnown } from "./plain-endpoints.ts";

/** How long a verifier may go without asking for the keys again, in seconds: how late it may learn of a compromised one. */
export const keySetMaxAgeSeconds = 300;

export interface IssuerDeps {
  readonly tenants: {
    getTenant(id: TenantId): Promise<Tenant | undefined>;
    getTenantBySlug(slug: string): Promise<Tenant | undefined>;
  };
  readonly keyring: Pick<Keyring, "forTenant">;
  /** Base URL of the issuer. */
  readonly issuer: () => string;
}

const keySetPath = "/.well-known/jwks.json";
const metadataPath = "/.well-known/oauth-authorization-server";

/**
 * What verifiers of JWTs fetch without a credential, for each issuer: its public keys (RFC 7517) and its metadata (RFC
 * 8414). Tenant `default` is at the root, another under `/t/<tenant id>`; its metadata also where RFC 8414 section 3.1
 * puts them, the well-known part first. With an ETag; 404 for no such tenant.
 */
export function issuerEndpoints(deps: IssuerDeps): PlainEndpoints {
  const defaultTenant = () => deps.tenants.getTenantBySlug(defaultTenantSlug);
  const named = (path: string) => {
    const id = parseId("ten", path);
    return id === undefined ? undefined : deps.tenants.getTenant(id);
  };
  return {
    [keySetPath]: answering(deps, defaultTenant, keySet),
    [metadataPath]: answering(deps, defaultTenant, metadata),
    [`/t/*${keySetPath}`]: answering(deps, named, keySet),
    [`/t/*${metadataPath}`]: answering(deps, named, metadata),
    [`${metadataPath}/t/*`]: answering(deps, named, metadata),
  };
}

type Describe = (deps: IssuerDeps, tenant: Tenant) => Promise<unknown>;

/** A disabled tenant keeps its keys published: that its tokens are refused is told by the feeds. */
function answering(
  deps: IssuerDeps,
  tenantOf: (path: string) => Promise<Tenant | undefined> | undefined,
  describe: Describe,
): PlainEndpoint {
  return async (request, wildcard) => {
    try {
      const tenant = await tenantOf(wildcard);
      if (tenant === undefined || (wildcard !== "" && tenant.slug === defaultTenantSlug)) return notFound;
      return unlessKnown(request, tagged(await describe(deps, tenant)));
    } catch (error) {
      if (error instanceof IchorError && error.reason === "STORE_UNAVAILABLE") return unavailable;
      throw error;
    }
  };
}

const notFound: PlainAnswer = { status: 404, body: { code: "not_found", message: "no such issuer" } };
const unavailable: PlainAnswer = {
  status: 503,
  headers: { "retry-after": "1", "cache-control": "no-store" },
  body: { code: "unavailable", message: "the store gives no answer" },
};

async function keySet({ keyring }: IssuerDeps, tenant: Tenant): Promise<unknown> {
  const { published } = await keyring.forTenant(tenant.id);
  return { keys: published.map(({ publicJwk }) => publicJwk) };
}

/** RFC 8414 section 2, as far as there is anything to say: tokens are made over RPC, not at an OAuth endpoint. */
async function metadata({ issuer }: IssuerDeps, tenant: Tenant): Promise<unknown> {
  const name = issuerOf(issuer(), tenant);
  return { issuer: name, jwks_uri: `${name}${keySetPath}`, response_types_supported: [], grant_types_supported: [] };
}

function tagged(body: unknown): PlainAnswer {
  const digest = createHash("sha256").update(JSON.stringify(body)).digest("base64url");
  const headers = { etag: `"${digest.slice(0, 22)}"`, "cache-control": `public, max-age=${keySetMaxAgeSeconds}` };
  return { status: 200, headers, body };
}
