import { hash, randomBytes } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { CredentialKind } from "../../gen/ichor/v1/api_key_pb.ts";
import {
  VerificationCode,
  type VerifyCredentialRequest,
  type VerifyCredentialResponse,
  VerifyCredentialResponseSchema,
} from "../../gen/ichor/v1/verification_pb.ts";
import { BoundedLru } from "../core/bounded-lru.ts";
import { IchorError } from "../core/errors.ts";
import type { RecordChanges } from "../verifier/options.ts";
import { fromTimestamp } from "../wire/time.ts";
import { ChangeMarks } from "./change-marks.ts";

/** After which time the server is asked again, so that it knows that the key is in use; ms. */
export const refreshMs = 60_000;
/** How long it is remembered that a credential is none, in ms. */
export const unknownMsMax = 60_000;
/** How many such are remembered. */
export const unknownMax = 20_000;
/** Credentials of which it is known whose they are. */
const ownersMax = 100_000;
/** Memory for answers, in bytes as estimated. */
const answersBytesMax = 32 * 1024 * 1024;
/** Different questions about one key, as by different addresses. */
const questionsPerKeyMax = 1_024;
/** Those who wait for a question that was asked before. */
export const joinedMax = 10_000;
/** What an answer takes beside its bytes on the wire, which are held as objects. */
const answerBytes = 512;

/** Outcomes that hold until the key's record changes or the credential ends. */
const lasting: ReadonlySet<VerificationCode> = new Set([
  VerificationCode.VALID,
  VerificationCode.REVOKED,
  VerificationCode.DISABLED,
  VerificationCode.EXPIRED,
  VerificationCode.AUDIENCE_MISMATCH,
  VerificationCode.IP_NOT_ALLOWED,
  VerificationCode.CONSTRAINT_NOT_MET,
  VerificationCode.INSUFFICIENT_SCOPE,
]);
/** Of these, what the end of the credential doesn't change. */
const ended: ReadonlySet<VerificationCode> = new Set([VerificationCode.REVOKED, VerificationCode.EXPIRED]);

export interface KeyAnswersOptions {
  /** Asks the server; `keyId`: the credential's key, if it was found right before. */
  readonly ask: (request: VerifyCredentialRequest, keyId: string | undefined) => Promise<VerifyCredentialResponse>;
  /** Ms since the epoch. */
  readonly now: () => number;
  /** A clock that only goes forward, in ms. */
  readonly monotonicMs: () => number;
}

interface KnownKey {
  /** By question. */
  readonly answers: Map<string, KeptAnswer>;
  /** Whether it has rate limits: then each use is the server's to decide. */
  limited: boolean;
  bytes: number;
}

interface KeptAnswer {
  readonly answer: VerifyCredentialResponse;
  readonly bytes: number;
  /** When it no longer holds, ms since the epoch. */
  readonly endMs: number;
  refreshAtMs: number;
}

interface Presented {
  /** Digest of the credential. */
  readonly who: string;
  /** Digest of the credential and of what is asked of it. */
  readonly question: string;
}

/**
 * The server's answers about API keys, each under a digest of the credential and of everything that was asked of it: so
 * that nothing of the server's rules is decided here. Kept until the feed names the key (`changed`), which it does before
 * the revision is told to anyone. An answer that was asked for before is kept only if it surely knows that change: it is
 * asked for with the revision of now, and thrown away if its key changed meanwhile.
 *
 * No credential is kept; digests are salted for this process.
 */
export class KeyAnswers {
  readonly #options: KeyAnswersOptions;
  readonly #salt = randomBytes(32).toString("base64");
  readonly #keys = new BoundedLru<string, KnownKey>(answersBytesMax);
  readonly #owners = new BoundedLru<string, string>(ownersMax);
  readonly #unknown = new BoundedLru<string, { readonly answer: VerifyCredentialResponse; readonly untilMs: number }>(
    unknownMax,
  );
  readonly #flights = new Map<string, Promise<VerifyCredentialResponse>>();
  readonly #marks = new ChangeMarks();
  #joined = 0;
  /** How answers came about: kept, asked for and kept, or asked for only. */
  readonly reads = { hit: 0, miss: 0, bypass: 0 };
  /** Up to which revision of the store all changes were told. */
  revision = 0n;

  constructor(options: KeyAnswersOptions) {
    this.#options = options;
  }

  /** Memory that kept answers take, as estimated. */
  get bytes(): number {
    return this.#keys.size;
  }

  /** Forgets what no longer holds. */
  changed(changes: RecordChanges): void {
    // Whoever asks from now on must not join a question from before.
    this.#flights.clear();
    if (changes.of === "all") {
      this.#marks.noteAll();
      this.#keys.clear();
      this.#unknown.clear();
      return;
    }
    this.#marks.note(changes.keyIds, changes.imported);
    for (const keyId of changes.keyIds) this.#keys.delete(keyId);
    if (changes.imported) this.#unknown.clear();
  }

  /** Gives the answer that is kept, or undefined. */
  known(request: VerifyCredentialRequest): VerifyCredentialResponse | undefined {
    const presented = this.#presented(request);
    const { now, monotonicMs } = this.#options;
    const unknown = this.#unknown.get(presented.who);
    if (unknown !== undefined && monotonicMs() < unknown.untilMs) {
      this.reads.hit++;
      return unknown.answer;
    }
    const keyId = this.#owners.get(presented.who);
    const kept = keyId === undefined ? undefined : this.#keys.get(keyId)?.answers.get(presented.question);
    if (kept === undefined || now() >= kept.endMs) return undefined;
    if (monotonicMs() >= kept.refreshAtMs) {
      kept.refreshAtMs = monotonicMs() + refreshMs;
      // What is kept holds all the same: only the feed ends it.
      this.#begin(request, presented).catch(() => {});
    }
    this.reads.hit++;
    return kept.answer;
  }

  /** Asks the server, once for all who ask the same meanwhile, and keeps its answer. Rejects as `ask`. */
  async first(request: VerifyCredentialRequest): Promise<VerifyCredentialResponse> {
    const presented = this.#presented(request);
    const keyId = this.#owners.get(presented.who);
    if (keyId !== undefined && this.#keys.get(keyId)?.limited) return this.past(request);
    this.reads.miss++;
    const flight = this.#flights.get(presented.question);
    if (flight === undefined) return this.#begin(request, presented);
    if (this.#joined >= joinedMax) {
      throw new IchorError("UPSTREAM_UNAVAILABLE", "too many wait for the server", { retryAfterMs: 1_000 });
    }
    this.#joined++;
    const answer = await flight.finally(() => this.#joined--);
    // Each use counts.
    return answer.rateLimits.length > 0 ? this.past(request) : answer;
  }

  /** Asks the server and keeps nothing. Rejects as `ask`. */
  past(request: VerifyCredentialRequest): Promise<VerifyCredentialResponse> {
    this.reads.bypass++;
    return this.#options.ask(this.#atLeastNow(request), this.#owners.get(this.#digest(request.credential)));
  }

  #begin(request: VerifyCredentialRequest, presented: Presented): Promise<VerifyCredentialResponse> {
    const { who, question } = presented;
    const moment = this.#marks.now;
    const flight = this.#options.ask(this.#atLeastNow(request), this.#owners.get(who));
    this.#flights.set(question, flight);
    const landed = () => this.#flights.get(question) === flight && this.#flights.delete(question);
    flight.then(
      (answer) => {
        landed();
        this.#keep(presented, answer, moment);
      },
      () => landed(),
    );
    return flight;
  }

  #keep({ who, question }: Presented, answer: VerifyCredentialResponse, moment: number): void {
    const { code, kind, key, rateLimits } = answer;
    const { now, monotonicMs } = this.#options;
    if (key === undefined) {
      const none = code === VerificationCode.NOT_FOUND || code === VerificationCode.MALFORMED;
      if (none && this.#marks.nothingImportedSince(moment))
        this.#unknown.set(who, { answer, untilMs: monotonicMs() + unknownMsMax }, 1);
      return;
    }
    // What is known of tokens is the verifier's to keep.
    if (kind !== CredentialKind.ISSUED_KEY && kind !== CredentialKind.IMPORTED_KEY) return;
    this.#owners.set(who, key.id, 1);
    if (!this.#marks.unchangedSince(moment, key.id)) return;
    const known = this.#keys.get(key.id) ?? { answers: new Map(), limited: false, bytes: answerBytes };
    if (rateLimits.length > 0) known.limited = true;
    else if (lasting.has(code)) {
      // Frozen, so that the codecs by hand may keep what they make of it.
      Object.freeze(key);
      const endMs = ended.has(code) || key.expireTime === undefined ? undefined : fromTimestamp(key.expireTime);
      const bytes = answerBytes + 3 * toBinary(VerifyCredentialResponseSchema, answer).byteLength;
      const refreshAtMs = monotonicMs() + refreshMs;
      if (endMs === undefined || now() < endMs)
        put(known, question, { answer, bytes, endMs: endMs ?? Number.POSITIVE_INFINITY, refreshAtMs });
    }
    this.#keys.set(key.id, known, known.bytes);
  }

  /** An answer of a server that lags behind what is known here would be kept beyond its end. */
  #atLeastNow(request: VerifyCredentialRequest): VerifyCredentialRequest {
    return request.minRevision >= this.revision ? request : { ...request, minRevision: this.revision };
  }

  #presented({ credential, requiredScopes, audience, clientIp, context }: VerifyCredentialRequest): Presented {
    const who = this.#digest(credential);
    const facts = Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1));
    return { who, question: this.#digest(JSON.stringify([who, requiredScopes, audience, clientIp, facts])) };
  }

  #digest(text: string): string {
    return hash("sha256", this.#salt + text, "binary");
  }
}

function put(known: KnownKey, question: string, kept: KeptAnswer): void {
  const { answers } = known;
  known.bytes -= answers.get(question)?.bytes ?? 0;
  answers.delete(question);
  const [oldest] = answers.size >= questionsPerKeyMax ? answers : [];
  if (oldest !== undefined) {
    answers.delete(oldest[0]);
    known.bytes -= oldest[1].bytes;
  }
  answers.set(question, kept);
  known.bytes += kept.bytes;
}
