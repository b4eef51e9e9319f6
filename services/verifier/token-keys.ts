import type { TokenAuthentication } from "../core/derived-token.ts";
import { notAuthentic } from "../core/derived-token.ts";
import { authenticateJwt } from "../core/jwt/authenticate.ts";
import { readJwt, type UnverifiedJwt } from "../core/jwt/read-jwt.ts";
import { importVerificationKey, type PublicJwk, type VerificationKey } from "../core/jwt/verification-key.ts";
import { authenticateMacaroon } from "../core/macaroon/authenticate.ts";
import { type ChainRoot, chainRootOf } from "../core/macaroon/chain.ts";
import { type MacaroonText, readMacaroonText } from "../core/macaroon/text.ts";
import { decodeMacaroonIdentifier } from "../wire/macaroon-identifier.ts";
import type { FeedReplica } from "./replica.ts";

/** A token as presented, by its form. */
export type PresentedToken =
  | { readonly kind: "JWT"; readonly jwt: UnverifiedJwt }
  | { readonly kind: "MACAROON"; readonly macaroon: MacaroonText };

/** Reads the form of a token; undefined: neither a JWT nor a macaroon of ours. */
export function readToken(token: string): PresentedToken | undefined {
  const macaroon = readMacaroonText(token);
  if (macaroon !== undefined) return { kind: "MACAROON", macaroon };
  const jwt = readJwt(token);
  return jwt && { kind: "JWT", jwt };
}

/** Public keys by their kid. Those that can't be read are left out: of a newer algorithm than this build knows. */
export function importKeys(jwks: readonly PublicJwk[]): ReadonlyMap<string, VerificationKey> {
  const keys = new Map<string, VerificationKey>();
  for (const jwk of jwks) {
    try {
      const key = importVerificationKey(jwk);
      keys.set(key.kid, key);
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
    }
  }
  return keys;
}

/** What the feeds' keys say of tokens: made anew when they change. */
export class TokenKeys {
  readonly #public: FeedReplica;
  readonly #audience: FeedReplica;
  #made = -1;
  #jwtKeys: ReadonlyMap<string, VerificationKey> = new Map();
  #roots: ReadonlyMap<string, { readonly root: ChainRoot; readonly endTimeMs: number }> = new Map();

  constructor(publicFeed: FeedReplica, audienceFeed: FeedReplica) {
    this.#public = publicFeed;
    this.#audience = audienceFeed;
  }

  /** Grows with every change of the keys. */
  get version(): number {
    return this.#public.keysVersion + this.#audience.keysVersion;
  }

  verificationKey(kid: string): VerificationKey | undefined {
    this.#refresh();
    return this.#jwtKeys.get(kid);
  }

  /** Whether a macaroon is authentic, and what it says. */
  authenticateMacaroon(
    { macaroon }: MacaroonText,
    issuer: string,
    tenantId: string,
    nowMs: number,
  ): TokenAuthentication {
    this.#refresh();
    const identifier = decodeMacaroonIdentifier(macaroon.identifier);
    if (identifier === undefined) return notAuthentic("MALFORMED");
    if (identifier.tenantId !== tenantId) return notAuthentic("SIGNATURE_INVALID");
    const found = this.#roots.get(rootName(identifier.audience, identifier.masterId, identifier.generation));
    return authenticateMacaroon(
      macaroon,
      identifier,
      found && nowMs < found.endTimeMs ? found.root : undefined,
      issuer,
    );
  }

  #refresh(): void {
    if (this.#made === this.version) return;
    this.#made = this.version;
    this.#jwtKeys = importKeys(
      this.#public.state.signingKeys.map(({ publicJwk }) => publicJwk as unknown as PublicJwk),
    );
    this.#roots = new Map(
      this.#audience.state.audienceKeys.map(({ audience, masterId, generation, key, endTimeMs }) => [
        rootName(audience, masterId, generation),
        { root: chainRootOf(key), endTimeMs: endTimeMs ?? Number.POSITIVE_INFINITY },
      ]),
    );
  }
}

/** Authenticates a JWT with a key that was found by its kid. The tenant's claim must agree with the issuer. */
export async function authenticateJwtOf(
  jwt: UnverifiedJwt,
  key: VerificationKey | undefined,
  issuer: string,
  tenantId: string,
): Promise<TokenAuthentication> {
  const said = await authenticateJwt(jwt, key, issuer);
  return said.authentic && said.token.tenantId !== tenantId ? notAuthentic("SIGNATURE_INVALID") : said;
}

function rootName(audience: string, masterId: string, generation: number): string {
  return `${masterId} ${generation} ${audience}`;
}
