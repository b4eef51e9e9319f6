import { type Client, createClient } from "@connectrpc/connect";
import { DerivationService } from "../../gen/ichor/v1/derivation_service_pb.ts";
import { credentialBytesMax } from "../core/credential.ts";
import type { Demand } from "../core/demand.ts";
import type { DerivedToken, TokenAuthentication } from "../core/derived-token.ts";
import type { VerificationKey } from "../core/jwt/verification-key.ts";
import { type AuthenticToken, authenticToken, clearOffline } from "../core/key-set/clear-offline.ts";
import { isScope } from "../core/scopes.ts";
import type { VerificationCode } from "../core/verification-code.ts";
import { audienceFeed, publicFeed } from "../wire/key-set.ts";
import { FeedTrust, type Identity } from "./feed-trust.ts";
import { type AppliedEvent, Follower } from "./follower.ts";
import { InTurn } from "./in-turn.ts";
import type { Settings } from "./options.ts";
import { recordChanges } from "./record-changes.ts";
import { askedAboutKeys, type CredentialVerifier, createRemoteVerifier } from "./remote-verifier.ts";
import { FeedReplica } from "./replica.ts";
import { ServerTransport } from "./server-transport.ts";
import { SnapshotKeeper } from "./snapshot-keeper.ts";
import { TokenCache, tokenDigest } from "./token-cache.ts";
import { authenticateJwtOf, importKeys, type PresentedToken, readToken, TokenKeys } from "./token-keys.ts";
import { VerifierUnavailableError } from "./unavailable-error.ts";
import { onlineTimeoutMs, verifyOnline } from "./verify-online.ts";
import type { VerifyDemand, VerifyResult } from "./verify-result.ts";

/** Least time between two questions for a key that isn't known, in ms: whoever presents tokens can make up kids. */
export const unknownKeyCooldownMs = 30_000;

/** How a verifier stands, for health checks and dashboards. */
export interface VerifierStatus {
  /** Whether a whole key set is known. */
  readonly ready: boolean;
  /** Whether what is known is older than `maxStaleness`. */
  readonly stale: boolean;
  readonly connected: boolean;
  /** Seconds; infinite if nothing is known, or a clock jumped. */
  readonly age: number;
  readonly revision: bigint;
  readonly tenantId?: string;
  /** The issuer of the tokens. */
  readonly issuer?: string;
  readonly subscriptionId?: string;
  /** Thumbprint of the feed key that signed the last event, if `feedKeys` says that signatures are checked. */
  readonly feedKeyId?: string;
  /** Keys with something to be known of, and tokens revoked by themselves. */
  readonly markedKeys: number;
  readonly revokedTokens: number;
  /** What the key set takes in memory, in bytes. */
  readonly byteLength: number;
  readonly lastError?: unknown;
}

/** Verifies derived tokens of one tenant for one audience by what the server streams, and API keys by asking. */
export class Verifier {
  readonly #settings: Settings;
  readonly #client: Client<typeof DerivationService>;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #feeds: readonly FeedReplica[];
  readonly #public: FeedReplica;
  readonly #trust: FeedTrust | undefined;
  readonly #keys: TokenKeys;
  readonly #keyVerifier: CredentialVerifier | undefined;
  readonly #cache: TokenCache;
  readonly #follower: Follower;
  readonly #keeper: SnapshotKeeper | undefined;
  #identity: Identity | undefined;
  #readyWaiters: { readonly resolve: () => void; readonly reject: (reason: unknown) => void }[] = [];
  #fetched: ReadonlyMap<string, VerificationKey> = new Map();
  #fetching: Promise<void> | undefined;
  #fetchedAtMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  /** Use createVerifier. */
  constructor(settings: Settings) {
    const { clock, audience, macaroons, urls, transport, credential, keys } = settings;
    this.#settings = settings;
    const lines = urls.map((url) => new ServerTransport({ url }));
    const line = new InTurn(transport ? [transport] : lines);
    this.#client = createClient(DerivationService, line);
    this.#keyVerifier = keys && createRemoteVerifier(askedAboutKeys(keys, { transport: line, credential }, audience));
    this.#headers = { authorization: `Bearer ${credential}` };
    const { feedKeys, issuer } = settings;
    this.#trust = feedKeys && new FeedTrust({ feedKeys, issuer });
    this.#public = new FeedReplica(publicFeed, clock, this.#trust);
    const ofAudience = new FeedReplica(audienceFeed(audience), clock, this.#trust);
    this.#feeds = macaroons ? [this.#public, ofAudience] : [this.#public];
    const feeds = new Map(this.#feeds.map((feed) => [feed.name, feed]));
    this.#keys = new TokenKeys(this.#public, ofAudience);
    this.#cache = new TokenCache(settings.cachedTokensMax);
    this.#keeper = SnapshotKeeper.of(settings, feeds, this.#trust);
    this.#identity = this.#keeper?.load();
    this.#follower = new Follower({
      settings,
      client: this.#client,
      onStreamEnd: () => line.next(),
      headers: this.#headers,
      audiences: macaroons ? [audience] : [],
      feeds,
      trust: this.#trust,
      onSubscribed: (identity) => {
        this.#identity = identity;
        settings.onward?.streamBegins();
      },
      onApplied: (feed, event) => this.#applied(feed, event),
      onAccepted: (response) => settings.onward?.told(response),
    });
  }

  /** Resolves once a key set is known that is fresh enough. Rejects when the verifier is closed, and with the signal's reason. */
  ready(signal?: AbortSignal): Promise<void> {
    if (this.#known && !this.#stale) return Promise.resolve();
    if (this.#closed) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      this.#readyWaiters.push({ resolve, reject });
      signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }

  /**
   * Says whether a token, or with the option `keys` an API key, is authentic and allows a request. One that doesn't is a
   * result like any other; rejects with VerifierUnavailableError only if it can't tell, and with TypeError for a demand that
   * makes no sense.
   */
  async verify(presentedToken: string, wanted: VerifyDemand = {}): Promise<VerifyResult> {
    const { scopes = [], clientIp, context = {} } = wanted;
    const bad = scopes.find((scope) => !isScope(scope));
    if (bad !== undefined) throw new TypeError(`not a scope: ${bad.slice(0, 64)}`);
    if (this.#closed) throw closed();
    const { audience, onStale, maxStaleness, cachedTokensMax, clock } = this.#settings;
    const demand: Demand = { requiredScopes: scopes, audience, clientIp, context };
    const monotonicMs = clock.monotonicMs();
    const nowMs = clock.now();
    const age = this.#ageSeconds(monotonicMs, nowMs);
    if (!this.#known || age > maxStaleness) {
      // How old what is known here is doesn't matter for keys.
      if (this.#keyVerifier && readToken(presentedToken) === undefined)
        return this.#keyVerifier.verify(presentedToken, wanted);
      if (onStale === "online") return verifyOnline(this.#client, this.#headers, presentedToken, demand);
      if (!this.#known) throw new VerifierUnavailableError("NOT_READY", "no key set is known yet");
      if (onStale === "deny") {
        throw new VerifierUnavailableError("STALE", `revocations are known as of ${age} s ago`);
      }
    }
    const mayBeSeen = cachedTokensMax > 0 && presentedToken.length <= credentialBytesMax;
    const digest = mayBeSeen ? tokenDigest(presentedToken) : undefined;
    const seen = digest && this.#cache.get(digest, this.#keys.version, monotonicMs);
    if (seen) return this.#clear(seen, demand, nowMs, age);
    const presented = readToken(presentedToken);
    if (presented === undefined) return this.#keyVerifier?.verify(presentedToken, wanted) ?? this.#result("MALFORMED");
    const said = await this.#authenticate(presented, digest);
    if (!said.authentic) return this.#result(said.code, presented.kind);
    if (this.#closed) throw closed();
    return this.#clear(said.token, demand, clock.now(), this.#ageSeconds());
  }

  status(): VerifierStatus {
    const { state, position } = this.#public;
    const { tenantId, issuer } = this.#identity ?? {};
    const { connected, subscriptionId, lastError } = this.#follower;
    return {
      ready: this.#known,
      stale: this.#stale,
      connected,
      age: this.#ageSeconds(),
      revision: position?.revision ?? 0n,
      ...(tenantId !== undefined && { tenantId }),
      ...(issuer !== undefined && { issuer }),
      ...(subscriptionId !== "" && { subscriptionId }),
      ...(this.#trust?.signedBy && { feedKeyId: this.#trust.signedBy }),
      markedKeys: state.markCount,
      revokedTokens: state.tokenCount,
      byteLength: state.byteLength,
      ...(lastError !== undefined && { lastError }),
    };
  }

  /**
   * Ends the stream and keeps the key set, if there is a file for it. From now on nothing is verified; so the server is told
   * not to wait for this verifier, unless the next one begins with the file, or others go on with what they were told here.
   */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#follower.close(this.#keeper === undefined && this.#settings.onward === undefined);
    this.#keeper?.close(this.#identity);
    for (const { reject } of this.#readyWaiters.splice(0)) {
      reject(new VerifierUnavailableError("NOT_READY", "the verifier was closed"));
    }
  }

  get #known(): boolean {
    return this.#identity !== undefined && this.#feeds.every(({ position }) => position !== undefined);
  }

  get #stale(): boolean {
    return this.#ageSeconds() > this.#settings.maxStaleness;
  }

  #ageSeconds(monotonicMs = this.#settings.clock.monotonicMs(), nowMs = this.#settings.clock.now()): number {
    let oldestMs = 0;
    for (const { freshness } of this.#feeds) oldestMs = Math.max(oldestMs, freshness.ageMs(monotonicMs, nowMs));
    return oldestMs / 1000;
  }

  #applied(feed: FeedReplica, event: AppliedEvent): void {
    const changes = recordChanges(event);
    if (changes !== undefined) this.#settings.onRecordsChanged(changes);
    this.#settings.onEvent({ kind: "applied", feed: feed.name, revision: feed.position?.revision ?? 0n });
    this.#keeper?.changed(this.#identity);
    if (!this.#known || this.#stale) return;
    for (const { resolve } of this.#readyWaiters.splice(0)) resolve();
  }

  /** Checks a token, and keeps it under its digest, if there is one, as seen. */
  async #authenticate(presented: PresentedToken, digest: string | undefined): Promise<Authentication> {
    const { clock } = this.#settings;
    const { version } = this.#keys;
    const said = await this.#check(presented);
    if (!said.authentic) return said;
    const token = authenticToken(said.token);
    const lifeMs = said.token.grant.expireTimeMs - clock.now();
    if (digest !== undefined) this.#cache.put(digest, token, version, clock.monotonicMs(), lifeMs);
    return { authentic: true, token };
  }

  #clear(token: AuthenticToken, demand: Demand, nowMs: number, age: number): VerifyResult {
    const code = clearOffline(token, this.#public.state, demand, nowMs, this.#settings.leeway);
    return this.#result(code, undefined, token.token, age);
  }

  async #check(presented: PresentedToken): Promise<TokenAuthentication> {
    const { issuer = "", tenantId = "" } = this.#identity ?? {};
    if (presented.kind === "MACAROON") {
      return this.#keys.authenticateMacaroon(presented.macaroon, issuer, tenantId, this.#settings.clock.now());
    }
    const { kid } = presented.jwt.unverifiedHeader;
    // What would be fetched isn't signed.
    const key = this.#keys.verificationKey(kid) ?? (this.#trust ? undefined : await this.#fetchedKey(kid));
    return authenticateJwtOf(presented.jwt, key, issuer, tenantId);
  }

  /** A key that the stream hasn't told: the server is asked once for all who wait, and then not for a while. */
  async #fetchedKey(kid: string): Promise<VerificationKey | undefined> {
    const { clock } = this.#settings;
    if (this.#fetching === undefined && clock.monotonicMs() - this.#fetchedAtMs >= unknownKeyCooldownMs) {
      this.#fetchedAtMs = clock.monotonicMs();
      this.#fetching = this.#fetchKeys().finally(() => {
        this.#fetching = undefined;
      });
    }
    await this.#fetching;
    // What the stream has told since is newer.
    return this.#keys.verificationKey(kid) ?? this.#fetched.get(kid);
  }

  async #fetchKeys(): Promise<void> {
    this.#fetched = new Map();
    const known = this.#public.position?.revision ?? 0n;
    try {
      const options = { headers: { ...this.#headers }, timeoutMs: onlineTimeoutMs };
      const { revision, signingKeys } = await this.#client.getKeySet({}, options);
      if (revision < known || revision < (this.#public.position?.revision ?? 0n)) return;
      this.#fetched = importKeys(signingKeys.map(({ publicJwk }) => ({ kty: "", ...publicJwk })));
    } catch {
      // What the stream told has to do.
    }
  }

  #result(
    code: VerificationCode,
    kind?: "JWT" | "MACAROON",
    token?: DerivedToken,
    age = this.#ageSeconds(),
  ): VerifyResult {
    const valid = code === "VALID";
    const revision = this.#public.position?.revision ?? 0n;
    if (token === undefined) return { valid, code, ...(kind && { kind }), revision, age };
    const { keyId, ownerId, tenantId, tokenId, grant } = token;
    const expireTime = new Date(grant.expireTimeMs);
    const { scopes } = grant;
    return { valid, code, kind: token.kind, keyId, ownerId, tenantId, tokenId, scopes, expireTime, revision, age };
  }
}

function closed(): VerifierUnavailableError {
  return new VerifierUnavailableError("NOT_READY", "the verifier is closed");
}

/** What the first step says, with the ids of an authentic token as bytes. */
type Authentication =
  | { readonly authentic: true; readonly token: AuthenticToken }
  | Extract<TokenAuthentication, { authentic: false }>;
