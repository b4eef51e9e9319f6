import { type CallOptions, Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { AdminService } from "../../gen/ichor/v1/admin_service_pb.ts";
import { isAudience } from "../core/audience.ts";
import { parseAddress } from "../core/cidr.ts";
import { credentialBytesMax } from "../core/credential.ts";
import { ServerTransport } from "./server-transport.ts";
import { VerifierUnavailableError } from "./unavailable-error.ts";
import { verifyResultOf } from "./verify-response.ts";
import type { VerifyDemand, VerifyResult } from "./verify-result.ts";

const timeoutMsDefault = 5_000;
const timeoutMsMax = 60_000;

/** Who can say whether a credential allows a request: `createVerifier` and `createRemoteVerifier` make such. */
export interface CredentialVerifier {
  /**
   * A credential that doesn't allow it is a result like any other. Rejects with VerifierUnavailableError if it can't be
   * told, and with TypeError for a demand that makes no sense.
   */
  verify(presentedCredential: string, demand?: VerifyDemand): Promise<VerifyResult>;
}

/** Who is asked: a side-car or a server. One of `url`, `socketPath` and `transport`. */
export interface AskedOptions {
  /** Base URL, as `http://127.0.0.1:8421` or `https://keys.example`. */
  readonly url?: string;
  /** Path of the Unix socket that a side-car listens on. */
  readonly socketPath?: string;
  /** How to reach it, if not by Connect over HTTP/2, as with client certificates. */
  readonly transport?: Transport;
  /** For a server: a key with `ichor:keys:verify`. A side-car needs none. */
  readonly credential?: string;
  /** How long an answer may take, in ms, 1–60 000; default 5 000. */
  readonly timeoutMs?: number;
}

export interface RemoteVerifierOptions extends AskedOptions {
  /** Who verifies: derived tokens must name it, and a side-car decides by itself about those of its own audience. */
  readonly audience?: string;
}

/**
 * Makes a verifier of API keys and derived tokens that asks a side-car, or a server, each time. It needs no set-up and no
 * closing. Throws TypeError for options that make no sense.
 */
export function createRemoteVerifier(options: RemoteVerifierOptions): CredentialVerifier {
  const { audience = "", credential, timeoutMs = timeoutMsDefault } = options;
  if (audience !== "" && !isAudience(audience))
    throw new TypeError("audience must be 1-255 characters of [A-Za-z0-9._~:/@+-]");
  if (credential === "") throw new TypeError("credential is empty");
  if (!(timeoutMs >= 1 && timeoutMs <= timeoutMsMax)) throw new TypeError("timeoutMs must be 1 to 60000");
  const client = createClient(AdminService, transportOf(options));
  const call: CallOptions = {
    timeoutMs,
    ...(credential !== undefined && { headers: { authorization: `Bearer ${credential}` } }),
  };
  return {
    async verify(presentedCredential, { scopes = [], clientIp, context = {}, cost } = {}) {
      // It would only be sent to be refused.
      if (presentedCredential === "" || presentedCredential.length > credentialBytesMax) return malformed;
      if (cost !== undefined && !Number.isSafeInteger(cost)) throw new TypeError("cost must be a whole number");
      const request = {
        ...{ credential: presentedCredential, audience, requiredScopes: [...scopes], context: { ...context } },
        // What is no address is one that isn't known, here as offline: keys that are bound to networks are refused.
        clientIp: clientIp !== undefined && parseAddress(clientIp) ? clientIp : "",
        ...(cost !== undefined && { cost: BigInt(cost) }),
      };
      return client.verifyCredential(request, call).then(verifyResultOf, (thrown: unknown) => {
        throw failureOf(thrown);
      });
    },
  };
}

const malformed: VerifyResult = { valid: false, code: "MALFORMED", revision: 0n, age: 0 };

/** Whom a verifier of tokens asks about keys: who is named, else its own server. */
export function askedAboutKeys(
  keys: AskedOptions,
  own: Pick<AskedOptions, "transport" | "credential">,
  audience: string,
): RemoteVerifierOptions {
  const named = keys.url ?? keys.socketPath ?? keys.transport;
  return { ...(named === undefined && own), ...keys, audience };
}

function transportOf({ url, socketPath, transport }: AskedOptions): Transport {
  const ways = [url, socketPath, transport].filter((way) => way !== undefined);
  if (ways.length !== 1) throw new TypeError("give one of url, socketPath and transport");
  return transport ?? new ServerTransport(socketPath === undefined ? { url: url ?? "" } : { socketPath });
}

/** Whatever keeps an answer away, the own credential's refusal too, is no word about the credential that was presented. */
function failureOf(thrown: unknown): Error {
  const cause = ConnectError.from(thrown);
  if (cause.code === Code.InvalidArgument) return new TypeError(`the demand was refused: ${cause.rawMessage}`);
  return new VerifierUnavailableError("OFFLINE", "who was to be asked gave no answer", { cause });
}
