import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { type ErrorInfo, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.ts";
import { AdminService, type BatchVerifyCredentialsResponse } from "../../gen/ichor/v1/admin_service_pb.ts";
import {
  DerivationService,
  type DeriveTokenRequest,
  type DeriveTokenResponse,
} from "../../gen/ichor/v1/derivation_service_pb.ts";
import type { VerifyCredentialRequest, VerifyCredentialResponse } from "../../gen/ichor/v1/verification_pb.ts";
import { IchorError } from "../core/errors.ts";
import { hasRoom, levelAfter, type RateLimit } from "../core/rate-limit.ts";

/** How long the server may take for an answer, in ms. */
export const upstreamTimeoutMs = 5_000;
/** Calls to the server that may be under way at a time. */
export const questionsMax = 256;
/** How many of them may be about credentials that were never found right: whoever makes some up must not fill it. */
export const strangersMax = 64;
/** How many of them may be about one key: whoever has a key that is asked about each time must not fill it either. */
export const callsPerKeyMax = 128;
/** How often the server may say of such a credential that it is none; until it has answered, each counts as one. */
export const strangersLimit: RateLimit = { name: "strangers", limit: 100, periodMs: 1_000, burst: 1_000, strict: true };
const retryAfterMs = 1_000;

export interface UpstreamOptions {
  readonly transport: Transport;
  readonly credential: string;
  /** A clock that only goes forward, in ms. */
  readonly monotonicMs: () => number;
  /** Told when the server begins to fail, with what it failed with, and when it answers again: undefined. */
  readonly onTurn: (failure: unknown) => void;
}

interface Question {
  readonly request: VerifyCredentialRequest;
  /** The key of the credential, if it was found right before; else it is a stranger. */
  readonly keyId: string | undefined;
}

/** A question that waits for others to be asked with it. */
interface Gathered extends Question {
  readonly resolve: (answer: VerifyCredentialResponse) => void;
  readonly reject: (reason: unknown) => void;
}

/** What a call to the server is about: so many questions, so many of them about strangers, the others about these keys. */
interface CallSize {
  readonly questions: number;
  readonly strangers: number;
  readonly keyIds: ReadonlySet<string>;
}

type RefusalOf = (info: ErrorInfo | undefined) => IchorError | undefined;

/** The server that a side-car asks, within bounds. */
export class Upstream {
  readonly #options: UpstreamOptions;
  readonly #askOne: (request: VerifyCredentialRequest) => Promise<VerifyCredentialResponse>;
  readonly #askMany: (requests: VerifyCredentialRequest[]) => Promise<BatchVerifyCredentialsResponse>;
  readonly #derive: (request: DeriveTokenRequest) => Promise<DeriveTokenResponse>;
  /** How questions ended; refused: there was no room to ask. */
  readonly tally = { ok: 0, failed: 0, refused: 0 };
  #failing = false;
  #calls = 0;
  /** Of these calls. */
  #questions = 0;
  /** Calls with strangers, and how many these are. */
  #strangerCalls = 0;
  #strangers = 0;
  /** Calls by the keys that they are about. */
  readonly #callsByKey = new Map<string, number>();
  /** Of `strangersLimit`, as of `#levelMs`. */
  #level = 0;
  #levelMs: number;
  #gathered: Gathered[] | undefined;

  constructor(options: UpstreamOptions) {
    const { transport, credential, monotonicMs } = options;
    this.#options = options;
    this.#levelMs = monotonicMs();
    const admin = createClient(AdminService, transport);
    const derivation = createClient(DerivationService, transport);
    const asItself = { headers: { authorization: `Bearer ${credential}` }, timeoutMs: upstreamTimeoutMs };
    this.#askOne = (request) => admin.verifyCredential(request, asItself);
    this.#askMany = (requests) => admin.batchVerifyCredentials({ requests }, asItself);
    this.#derive = (request) => derivation.deriveToken(request, asItself);
  }

  /**
   * Asks about a credential. Rejects with UPSTREAM_UNAVAILABLE if there is no answer, whatever the reason, or no room to
   * ask; and with REVISION_NOT_REACHED.
   *
   * @param keyId its key, if it was found right before; else it counts among the strangers
   */
  async verify(request: VerifyCredentialRequest, keyId: string | undefined): Promise<VerifyCredentialResponse> {
    const gathered = this.#gathered;
    if (gathered) return new Promise((resolve, reject) => gathered.push({ request, keyId, resolve, reject }));
    const [answer] = await this.#ask([{ request, keyId }]);
    return answer as VerifyCredentialResponse;
  }

  /** Lets what is asked while `work` runs, before it waits for anything, be asked in one call; at most 100 questions. */
  together<T>(work: () => T): T {
    const gathered: Gathered[] = [];
    this.#gathered = gathered;
    try {
      return work();
    } finally {
      this.#gathered = undefined;
      if (gathered.length > 0) {
        this.#ask(gathered).then(
          (answers) => gathered.forEach(({ resolve }, i) => void resolve(answers[i] as VerifyCredentialResponse)),
          (reason) => {
            for (const { reject } of gathered) reject(reason);
          },
        );
      }
    }
  }

  /**
   * Makes a token of a credential that was found right. Rejects as `verify`, and with what says that this credential
   * can't be a parent of such a token: PARENT_REFUSED, CREDENTIAL_KIND_NOT_ALLOWED, DERIVATION_NOT_ALLOWED.
   *
   * @param keyId the credential's key
   */
  derive(request: DeriveTokenRequest, keyId: string): Promise<DeriveTokenResponse> {
    const size = { questions: 1, strangers: 0, keyIds: new Set([keyId]) };
    return this.#within(size, () => this.#derive(request), parentRefusal);
  }

  /** Questions that aren't answered yet. */
  get waiting(): number {
    return this.#questions;
  }

  /** Gives an answer to each question, in their order. */
  #ask(questions: readonly Question[]): Promise<readonly VerifyCredentialResponse[]> {
    const strangers = questions.reduce((sum, { keyId }) => sum + Number(keyId === undefined), 0);
    const keyIds = new Set(questions.flatMap(({ keyId }) => keyId ?? []));
    return this.#within({ questions: questions.length, strangers, keyIds }, async () => {
      const answers = await this.#answersTo(questions.map(({ request }) => request));
      const none = questions.filter(({ keyId }, i) => keyId === undefined && answers[i]?.key === undefined).length;
      if (none > 0) this.#level = this.#levelNow() + none;
      return answers;
    });
  }

  async #answersTo(requests: VerifyCredentialRequest[]): Promise<readonly VerifyCredentialResponse[]> {
    const [first] = requests;
    if (first !== undefined && requests.length === 1) return [await this.#askOne(first)];
    const { responses } = await this.#askMany(requests);
    if (responses.length === requests.length) return responses;
    throw new ConnectError("the server answered another number", Code.Internal);
  }

  /** Asks within the bounds. `refusalOf` knows the errors that are answers. */
  async #within<T>(size: CallSize, ask: () => Promise<T>, refusalOf: RefusalOf = () => undefined): Promise<T> {
    const { questions } = size;
    this.#requireRoom(size);
    this.#count(size, 1);
    try {
      const answer = await ask();
      this.#turn(undefined);
      this.tally.ok += questions;
      return answer;
    } catch (error) {
      const failure = ConnectError.from(error);
      const [info] = failure.findDetails(ErrorInfoSchema);
      const refusal = refusalOf(info);
      if (refusal === undefined) {
        this.tally.failed += questions;
        throw this.#failureOf(failure, info);
      }
      this.#turn(undefined);
      this.tally.ok += questions;
      throw refusal;
    } finally {
      this.#count(size, -1);
    }
  }

  /** Counts a call that begins, or ends. */
  #count({ questions, strangers, keyIds }: CallSize, by: 1 | -1): void {
    this.#calls += by;
    this.#questions += by * questions;
    if (strangers > 0) this.#strangerCalls += by;
    this.#strangers += by * strangers;
    for (const keyId of keyIds) {
      const calls = this.#callsOf(keyId) + by;
      if (calls === 0) this.#callsByKey.delete(keyId);
      else this.#callsByKey.set(keyId, calls);
    }
  }

  #callsOf(keyId: string): number {
    return this.#callsByKey.get(keyId) ?? 0;
  }

  #requireRoom({ questions, strangers, keyIds }: CallSize): void {
    const mayBeNone = this.#levelNow() + this.#strangers;
    const strangersFit =
      strangers === 0 || (this.#strangerCalls < strangersMax && hasRoom([strangersLimit], [mayBeNone], strangers));
    const keysFit = [...keyIds].every((keyId) => this.#callsOf(keyId) < callsPerKeyMax);
    if (this.#calls < questionsMax && strangersFit && keysFit) return;
    this.tally.refused += questions;
    throw new IchorError("UPSTREAM_UNAVAILABLE", "too much is being asked of the server", { retryAfterMs });
  }

  #levelNow(): number {
    const nowMs = this.#options.monotonicMs();
    this.#level = levelAfter(strangersLimit, this.#level, nowMs - this.#levelMs);
    this.#levelMs = nowMs;
    return this.#level;
  }

  #failureOf(failure: ConnectError, info: ErrorInfo | undefined): IchorError {
    if (info?.reason === "REVISION_NOT_REACHED") {
      return new IchorError("REVISION_NOT_REACHED", "the server hasn't come to the revision", { retryAfterMs });
    }
    this.#turn(failure);
    // That the side-car's own credential is refused is no fault of who asks it.
    return new IchorError("UPSTREAM_UNAVAILABLE", "the server can't be asked", { retryAfterMs, cause: failure });
  }

  #turn(failure: ConnectError | undefined): void {
    const failing = failure !== undefined;
    if (failing === this.#failing) return;
    this.#failing = failing;
    this.#options.onTurn(failure && { code: Code[failure.code], message: failure.rawMessage });
  }
}

/** The server's word that a credential is no parent for such a token; undefined: it says something else. */
function parentRefusal(info: ErrorInfo | undefined): IchorError | undefined {
  switch (info?.reason) {
    case "PARENT_REFUSED":
    case "CREDENTIAL_KIND_NOT_ALLOWED":
      return new IchorError(info.reason, "no token can be derived from the credential", { metadata: info.metadata });
    // The fields are sound: they ask for more than the key, or its policy, allows.
    case "INVALID_FIELD":
    case "DERIVATION_NOT_ALLOWED":
      return new IchorError("DERIVATION_NOT_ALLOWED", "no such token may be derived from the credential");
    default:
      return undefined;
  }
}
