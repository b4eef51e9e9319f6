import { isDeepStrictEqual } from "node:util";
import type { JsonObject, TokenFormat } from "../core/api-key.ts";
import type { Constraints } from "../core/constraints.ts";
import { credentialBytesMax } from "../core/credential.ts";
import type { TokenGrant } from "../core/derived-token.ts";
import { FieldViolations } from "../core/field-violations.ts";
import { newId, type TokenId } from "../core/ids.ts";
import { buildClaims } from "../core/jwt/claims.ts";
import { signJwt } from "../core/jwt/sign.ts";
import { currentVersion } from "../core/key-life.ts";
import { attenuateMacaroon } from "../core/macaroon/attenuate.ts";
import { caveatsMax } from "../core/macaroon/macaroon.ts";
import { mintMacaroon } from "../core/macaroon/mint.ts";
import { readMacaroonText } from "../core/macaroon/text.ts";
import { writeCaveats } from "../core/macaroon/write-caveats.ts";
import type { Tenant } from "../core/tenant.ts";
import type { TenantKeys } from "../keyring/tenant-keys.ts";
import { encodeMacaroonIdentifier } from "../wire/macaroon-identifier.ts";
import type { DerivationDeps } from "./deps.ts";
import type { Parent } from "./parent.ts";

/** A token to make: everything is decided. */
export interface TokenOrder {
  readonly format: TokenFormat;
  readonly tenant: Tenant;
  readonly issuer: string;
  readonly parent: Parent;
  /** Bounded by the parent's. */
  readonly grant: TokenGrant;
  readonly customClaims: JsonObject;
  readonly nowMs: number;
}

/** Signs the token. Throws INVALID_FIELD for a grant that doesn't fit into one, SECRET_NOT_LOADED without its key. */
export async function makeToken(
  { keyring, random }: Pick<DerivationDeps, "keyring" | "random">,
  order: TokenOrder,
): Promise<{ readonly token: string; readonly tokenId: TokenId }> {
  const { parent, grant, nowMs } = order;
  if (parent.token !== undefined && parent.macaroonText !== undefined)
    return { token: narrow(parent.macaroonText, parent.token.grant, grant), tokenId: parent.token.tokenId };
  const keys = await keyring.forTenant(order.tenant.id);
  const tokenId = newId("tok", nowMs, random(10));
  const whose = {
    tenantId: order.tenant.id,
    keyId: parent.key.id,
    tokenId,
    ownerId: parent.key.ownerId,
    tokenEpoch: parent.key.tokenEpoch,
  };
  if (order.format === "MACAROON") return { token: mint(keys, order, whose), tokenId };
  const { issuer, customClaims } = order;
  const claims = buildClaims({ ...whose, issuer, issueTimeMs: nowMs, grant, customClaims });
  return { token: await signJwt(claims, keys.signer()), tokenId };
}

function mint(
  keys: TenantKeys,
  { tenant, issuer, parent, grant, nowMs }: TokenOrder,
  whose: Pick<
    Parameters<typeof encodeMacaroonIdentifier>[0],
    "tenantId" | "keyId" | "tokenId" | "ownerId" | "tokenEpoch"
  >,
): string {
  const [audience = ""] = grant.audiences;
  const { masterId, generation, root } = keys.audienceSigner(audience, nowMs);
  const issueTimeSeconds = Math.floor(nowMs / 1000);
  const secretVersion = (parent.version ?? currentVersion(parent.key)).number;
  const identifier = encodeMacaroonIdentifier({
    ...whose,
    secretVersion,
    masterId,
    audience,
    generation,
    issueTimeSeconds,
  });
  return mintMacaroon({ prefix: tenant.settings.macaroonPrefix, issuer, identifier, issueTimeSeconds, grant, root });
}

/** Appends caveats for all that the child's grant says otherwise than its parent's. */
function narrow(macaroonText: string, parentGrant: Constraints, grant: Constraints): string {
  const said = Object.entries(grant).filter(([name, value]) => {
    return !isDeepStrictEqual(value, parentGrant[name as keyof Constraints]);
  });
  const caveats = writeCaveats(Object.fromEntries(said));
  const caveatsBefore = readMacaroonText(macaroonText)?.macaroon.caveats.length ?? 0;
  // A caveat takes 4 bytes more than its text, in base64url.
  const length = macaroonText.length + Math.ceil((Buffer.byteLength(caveats.join("....")) + 4) / 3) * 4;
  const violations = new FieldViolations();
  const fits = caveatsBefore + caveats.length <= caveatsMax && length <= credentialBytesMax;
  violations.require(fits, "constraints", `must fit, with the parent's, into ${caveatsMax} caveats and 8 KiB`);
  violations.throwIfAny();
  return attenuateMacaroon(macaroonText, caveats);
}
