import { credentialBytesMax } from "../credential.ts";
import { type TokenGrant, tokenLifeSecondsMax } from "../derived-token.ts";
import { FieldViolations } from "../field-violations.ts";
import { bytesOf } from "../hmac-sha256.ts";
import { type ChainRoot, chainSignature } from "./chain.ts";
import { writeMacaroonV2 } from "./codec-v2.ts";
import { caveatsMax, type RawCaveat } from "./macaroon.ts";
import { formatMacaroonText } from "./text.ts";
import { writeCaveats } from "./write-caveats.ts";

export interface MacaroonOrder {
  /** What the text begins with: the tenant's macaroon prefix. */
  readonly prefix: string;
  /** The issuer, as the location; verifiers compare it. */
  readonly issuer: string;
  /** The encoded identifier. */
  readonly identifier: Uint8Array;
  readonly issueTimeSeconds: number;
  /** What the macaroon shall allow. Exactly one audience: the one that `root` belongs to. */
  readonly grant: TokenGrant;
  readonly root: ChainRoot;
}

/**
 * Makes a macaroon as text. The caller has bounded the grant by the parent key's; throws TypeError for one that no
 * verifier would take (more than 24 h, several audiences), and INVALID_FIELD for one that doesn't fit into a macaroon.
 */
export function mintMacaroon({ prefix, issuer, identifier, issueTimeSeconds, grant, root }: MacaroonOrder): string {
  if (grant.audiences.length !== 1) throw new TypeError("a macaroon has exactly one audience");
  if (grant.expireTimeMs > (issueTimeSeconds + tokenLifeSecondsMax) * 1000)
    throw new TypeError("a token lives at most 24 h");
  const caveats = writeCaveats(grant).map((text) => ({ id: Buffer.from(text) }));
  requireFits(prefix.length + issuer.length + identifier.length, caveats);
  const signature = bytesOf(chainSignature(root, { identifier, caveats }));
  return formatMacaroonText(prefix, writeMacaroonV2({ location: issuer, identifier, caveats, signature }));
}

/** Most bytes that a field has beyond its data, the end of its section included. */
const fieldOverheadBytes = 4;

/** Throws INVALID_FIELD if the text could be longer than a credential may be, which is less than the binary's own bound. */
function requireFits(otherBytes: number, caveats: readonly RawCaveat[]): void {
  const bytes = caveats.reduce((sum, { id }) => sum + id.length + fieldOverheadBytes, otherBytes + 64);
  const violations = new FieldViolations();
  violations.require(caveats.length <= caveatsMax, "constraints", `must not need more than ${caveatsMax} caveats`);
  violations.require(
    Math.ceil(bytes / 3) * 4 <= credentialBytesMax,
    "constraints",
    "must fit into a credential of 8 KiB",
  );
  violations.throwIfAny();
}
