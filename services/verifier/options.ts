import type { Transport } from "@connectrpc/connect";
import type { WatchKeySetResponse } from "../../gen/ichor/v1/key_set_pb.ts";
import { isAudience } from "../core/audience.ts";
import { leewaySecondsMax } from "../core/derived-token.ts";
import type { VerifierClock } from "./clock.ts";
import type { AskedOptions } from "./remote-verifier.ts";

/** What a verifier does while it knows too little: refuse to answer, go on with what it knows, or ask the server. */
export type OnStale = "deny" | "allow" | "online";

/** Something that operators want to count. */
export type VerifierEvent =
  | { readonly kind: "connected"; readonly subscriptionId: string }
  | { readonly kind: "disconnected"; readonly error: unknown; readonly retryInMs: number }
  | { readonly kind: "resync"; readonly feed: string; readonly error: unknown }
  /** Something isn't signed as `feedKeys` demands, or goes back in time: it isn't applied, and the stream ends. */
  | { readonly kind: "refused"; readonly feed: string; readonly error: unknown }
  | { readonly kind: "applied"; readonly feed: string; readonly revision: bigint }
  | { readonly kind: "snapshot_file_ignored"; readonly why: string }
  | { readonly kind: "snapshot_file_failed"; readonly error: unknown };

/** What was told of records of keys, for who keeps answers about keys beside the verifier. */
export type RecordChanges =
  /** Nothing holds that was kept before. */
  | { readonly of: "all" }
  | {
      readonly of: "some";
      /** Ids of keys, `key_…`, whose records changed. */
      readonly keyIds: readonly string[];
      /** Whether keys were imported: a credential that wasn't known may be one now. */
      readonly imported: boolean;
    };

/** Who passes on what a verifier is told, and what others acknowledge: a relay. */
export interface Onward {
  /** Called when a stream begins. */
  streamBegins(): void;
  /** Called with the messages of feeds and their keys as they came, each once it is applied; all of a snapshot at its end. */
  told(message: WatchKeySetResponse): void;
  /** Whether a feed must begin with a snapshot: then the stream is begun anew. */
  lacks(feed: string): boolean;
  /** Gives what may be acknowledged, if this verifier has applied `public` up to `applied`. */
  least(applied: bigint): bigint;
  /** Takes what is to be called when `least` may have risen. */
  onRise(listener: () => void): void;
}

export interface VerifierOptions {
  /**
   * Base URL of the server, as `https://keys.example`, or of several that serve the same key set (relays, and the server
   * itself): whenever a stream ends, the next one is used. Or `transport`.
   */
  readonly url?: string | readonly string[];
  /** How to reach the server, if not by Connect over HTTP/2 to `url`. The credential is added to each call. */
  readonly transport?: Transport;
  /** Who verifies: tokens must name it. 1–255 characters of `[A-Za-z0-9._~:/@+-]`. */
  readonly audience: string;
  /**
   * A key with `ichor:keyset:watch` and, for macaroons, `ichor:verify:aud:<audience>`; with `onStale: "online"` also
   * `ichor:tokens:verify`. It decides the tenant.
   */
  readonly credential: string;
  /**
   * Who is asked about what is no derived token, and so may be an API key: a side-car, or a server. `{}`: the server
   * itself, with `credential`, which then needs `ichor:keys:verify`. Absent: nobody, such texts are MALFORMED.
   */
  readonly keys?: AskedOptions;
  /** Whether macaroons are verified, too; default true. */
  readonly macaroons?: boolean;
  /** From which age on what is known isn't trusted, in seconds, 1–86400; default 30. */
  readonly maxStaleness?: number;
  /** What to do then; default `deny`. */
  readonly onStale?: OnStale;
  /**
   * Which feed keys are believed, by their thumbprints (RFC 7638, base64url), and the keys that they hand over to: then nobody
   * between the origin and here can make or change an event. Needs `issuer`. `"learn"`: those that are told first, kept in
   * `snapshotFile`; needs an `https` URL, and trusts it at the first time. Default: whoever is connected to is believed.
   */
  readonly feedKeys?: readonly string[] | "learn";
  /** The issuer whose feeds are believed, as `https://keys.example`: tokens name it. */
  readonly issuer?: string;
  /** How much the clocks of issuer and verifier may differ, in seconds, 0–60; default 30. */
  readonly leeway?: number;
  /** Where the key set is kept, sealed, for the next start; default nowhere. */
  readonly snapshotFile?: string;
  /** How many tokens are kept as seen; default 10 000; 0: none. */
  readonly cachedTokensMax?: number;
  /** Name and version of the service, for the server's operators; at most 100 bytes. */
  readonly clientName?: string;
  /** Called for what operators want to count; must not throw. */
  readonly onEvent?: (event: VerifierEvent) => void;
  /**
   * Called for changes of keys' records, before the event `applied` of their revision and before the server is told that
   * it was applied; must not throw.
   */
  readonly onRecordsChanged?: (changes: RecordChanges) => void;
  /** For relays: who else is told. */
  readonly onward?: Onward;
  readonly clock?: VerifierClock;
  /** From 0 to below 1, for the time between attempts to connect; default `Math.random`. */
  readonly jitter?: () => number;
}

/** The options with their defaults. */
export type Settings = Required<Omit<VerifierOptions, Optional | "url">> &
  Pick<VerifierOptions, Optional> & {
    /** In their order; empty: there is a transport. */
    readonly urls: readonly string[];
  };

type Optional = "transport" | "snapshotFile" | "keys" | "feedKeys" | "issuer" | "onward";

/** Throws TypeError for options that make no sense. */
export function checkOptions(settings: Settings): void {
  const { urls, transport, audience, credential, maxStaleness, onStale, leeway, cachedTokensMax } = settings;
  if ((urls.length === 0) === (transport === undefined)) throw new TypeError("give either url or transport");
  if (!isAudience(audience)) throw new TypeError("audience must be 1-255 characters of [A-Za-z0-9._~:/@+-]");
  if (credential === "") throw new TypeError("credential is empty");
  if (!(maxStaleness >= 1 && maxStaleness <= 86_400)) throw new TypeError("maxStaleness must be 1 to 86400 seconds");
  if (!["deny", "allow", "online"].includes(onStale))
    throw new TypeError('onStale must be "deny", "allow" or "online"');
  if (!(leeway >= 0 && leeway <= leewaySecondsMax)) throw new TypeError("leeway must be 0 to 60 seconds");
  if (!Number.isInteger(cachedTokensMax) || cachedTokensMax < 0) throw new TypeError("cachedTokensMax must be a count");
  checkTrust(settings);
}

function checkTrust({ feedKeys, issuer, urls, snapshotFile, onStale }: Settings): void {
  if (feedKeys === undefined) {
    if (issuer !== undefined) throw new TypeError("issuer needs feedKeys");
    return;
  }
  // What the server answers there isn't signed.
  if (onStale === "online") throw new TypeError('onStale "online" doesn\'t go with feedKeys');
  if (feedKeys === "learn") {
    if (urls.length === 0 || !urls.every((url) => url.startsWith("https://")))
      throw new TypeError("to learn feedKeys url must begin with https://");
    if (snapshotFile === undefined) throw new TypeError("to learn feedKeys give a snapshotFile to keep them in");
    return;
  }
  if (feedKeys.length === 0) throw new TypeError("feedKeys is empty");
  const bad = feedKeys.find((id) => !/^[A-Za-z0-9_-]{43}$/.test(id));
  if (bad !== undefined) throw new TypeError(`not the thumbprint of a feed key: ${bad.slice(0, 64)}`);
  if (issuer === undefined) throw new TypeError("feedKeys needs issuer");
}
