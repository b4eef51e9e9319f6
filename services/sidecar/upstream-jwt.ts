import { hash, randomBytes } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { CredentialKind, TokenFormat } from "../../gen/ichor/v1/api_key_pb.ts";
import {
  type DeriveTokenRequest,
  DeriveTokenRequestSchema,
  type DeriveTokenResponse,
} from "../../gen/ichor/v1/derivation_service_pb.ts";
import type { VerifyCredentialResponse } from "../../gen/ichor/v1/verification_pb.ts";
import { BoundedLru } from "../core/bounded-lru.ts";
import { IchorError } from "../core/errors.ts";
import type { RecordChanges } from "../verifier/options.ts";
import { VerifierUnavailableError } from "../verifier/unavailable-error.ts";
import type { Verifier } from "../verifier/verifier.ts";
import { fromTimestamp } from "../wire/time.ts";
import { ChangeMarks } from "./change-marks.ts";

/** Memory for tokens, in bytes as estimated. */
const tokensBytesMax = 16 * 1024 * 1024;
const entryBytes = 256;
/** What of a token's life is used: a service that gets it has the rest for its own calls. */
const usedShare = 0.5;
/** How much of it must be left if no other can be had, in ms. */
const lastMs = 30_000;
/** How long it is remembered that a key's holder can't have one, in ms, and of how many. */
const refusedMs = 60_000;
const refusedMax = 10_000;

/** What an authentic token that was made for somebody else is found to be by the verifier. */
const holding: ReadonlySet<string> = new Set(["VALID", "AUDIENCE_MISMATCH", "IP_NOT_ALLOWED", "CONSTRAINT_NOT_MET"]);

export interface UpstreamJwtsOptions {
  readonly derive: (request: DeriveTokenRequest, keyId: string) => Promise<DeriveTokenResponse>;
  /** Says how a token stands by what the server has told. Rejects with VerifierUnavailableError if that is too old. */
  readonly verify: Verifier["verify"];
  /** Ms since the epoch. */
  readonly now: () => number;
}

/** For whom a token is wanted. */
export interface JwtDemand {
  readonly presentedCredential: string;
  /** What was found of it: it is valid, also for `verifiedAudience`. */
  readonly said: Pick<VerifyCredentialResponse, "kind" | "key">;
  readonly verifiedAudience: string;
  /** Whom the token is for. */
  readonly audience: string;
  /** What it allows; empty: all that the key does, but reserved scopes. */
  readonly scopes: readonly string[];
}

/** Something that holds until its key changes. */
interface OfKey {
  readonly keyId: string;
  /** As of which change of keys. */
  readonly moment: number;
}

interface Refused extends OfKey {
  readonly error: IchorError;
  readonly untilMs: number;
}

interface Kept extends OfKey {
  readonly token: string;
  readonly useUntilMs: number;
  readonly endMs: number;
}

/**
 * Tokens for services behind a gateway, derived from the keys that clients present. One is kept, under a salted digest of
 * what it was made from, for half of its life; it is given out only if its key hasn't changed since and the verifier, who
 * follows the server, doesn't know that it was ended.
 */
export class UpstreamJwts {
  readonly #options: UpstreamJwtsOptions;
  readonly #salt = randomBytes(32).toString("base64");
  readonly #kept = new BoundedLru<string, Kept>(tokensBytesMax);
  readonly #refused = new BoundedLru<string, Refused>(refusedMax);
  readonly #flights = new Map<string, Promise<string>>();
  readonly #marks = new ChangeMarks();

  constructor(options: UpstreamJwtsOptions) {
    this.#options = options;
  }

  /** Forgets what no longer holds. */
  changed(changes: RecordChanges): void {
    // Whoever asks from now on must not join a derivation from before.
    this.#flights.clear();
    if (changes.of === "all") this.#marks.noteAll();
    else this.#marks.note(changes.keyIds, changes.imported);
  }

  /**
   * Gives a token for the audience: a fresh one of a key; of a derived token that was verified for the same audience,
   * itself. Rejects with CREDENTIAL_KIND_NOT_ALLOWED for one of another audience, and as `derive`.
   */
  async of(demand: JwtDemand): Promise<string> {
    const { kind } = demand.said;
    if (kind === CredentialKind.JWT || kind === CredentialKind.MACAROON) {
      if (demand.verifiedAudience === demand.audience) return demand.presentedCredential;
      throw new IchorError(
        "CREDENTIAL_KIND_NOT_ALLOWED",
        "a derived token isn't exchanged for one of another audience",
      );
    }
    const { now } = this.#options;
    const question = this.#questionOf(demand);
    const refused = this.#refused.get(question);
    if (refused !== undefined && now() < refused.untilMs && this.#isOfNow(refused)) throw refused.error;
    const kept = await this.#stillHolding(this.#kept.get(question));
    if (kept !== undefined && now() < kept.useUntilMs) return kept.token;
    try {
      return await (this.#flights.get(question) ?? this.#begin(question, demand));
    } catch (error) {
      const unavailable = error instanceof IchorError && error.reason === "UPSTREAM_UNAVAILABLE";
      if (unavailable && kept !== undefined && now() < kept.endMs - lastMs) return kept.token;
      throw error;
    }
  }

  #begin(question: string, demand: JwtDemand): Promise<string> {
    const flight = this.#derive(question, demand).finally(() => {
      if (this.#flights.get(question) === flight) this.#flights.delete(question);
    });
    this.#flights.set(question, flight);
    return flight;
  }

  async #derive(question: string, { presentedCredential, said, audience, scopes }: JwtDemand): Promise<string> {
    const { derive, now } = this.#options;
    const ofKey = { keyId: said.key?.id ?? "", moment: this.#marks.now };
    const request = create(DeriveTokenRequestSchema, {
      credential: presentedCredential,
      format: TokenFormat.JWT,
      audiences: [audience],
      scopes: [...scopes],
    });
    const { token, expireTime } = await derive(request, ofKey.keyId).catch((error: unknown) => {
      // By the key's record: nothing but a change of it makes that another answer.
      if (error instanceof IchorError && error.reason === "DERIVATION_NOT_ALLOWED")
        this.#refused.set(question, { ...ofKey, error, untilMs: now() + refusedMs }, 1);
      throw error;
    });
    const state = await this.#stateOf(token);
    // A server that lags behind what is known here has made a token that is dead to every verifier.
    if (state === "ended")
      throw new IchorError("UPSTREAM_UNAVAILABLE", "the server lags behind", { retryAfterMs: 1_000 });
    const endMs = (expireTime && fromTimestamp(expireTime)) ?? now();
    const useUntilMs = now() + (endMs - now()) * usedShare;
    this.#kept.set(question, { ...ofKey, token, useUntilMs, endMs }, entryBytes + token.length);
    return token;
  }

  async #stillHolding(kept: Kept | undefined): Promise<Kept | undefined> {
    if (kept === undefined || !this.#isOfNow(kept)) return undefined;
    return (await this.#stateOf(kept.token)) === "good" ? kept : undefined;
  }

  #isOfNow({ moment, keyId }: OfKey): boolean {
    return this.#marks.unchangedSince(moment, keyId);
  }

  async #stateOf(token: string): Promise<"good" | "ended" | "unknown"> {
    try {
      return holding.has((await this.#options.verify(token)).code) ? "good" : "ended";
    } catch (error) {
      if (error instanceof VerifierUnavailableError) return "unknown";
      throw error;
    }
  }

  #questionOf({ presentedCredential, audience, scopes }: JwtDemand): string {
    return hash("sha256", this.#salt + JSON.stringify([presentedCredential, audience, scopes]), "binary");
  }
}
