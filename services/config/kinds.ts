import { isAudience } from "../core/audience.ts";
import { canonicalNetwork } from "../core/cidr.ts";
import { parseDatabaseUrl } from "../core/database-url.ts";
import { type KeyId, parseId } from "../core/ids.ts";

/** JSON Schema of a value in the configuration file. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** How the value of a setting is written. Both functions throw a RangeError with the rest of a sentence if it is none. */
export interface Kind<T> {
  /** Reads what an environment variable holds. */
  parse(text: string): T;
  /** Reads what the configuration file holds: text, a number, a boolean or a list. */
  fromFile(value: unknown): T;
  readonly schema: JsonSchema;
}

/** What is text in the file, too. */
function textKind<T>(parse: (text: string) => T, schema: JsonSchema = {}): Kind<T> {
  return {
    parse,
    fromFile(value) {
      if (typeof value !== "string" || value === "") throw new RangeError("must be a text");
      return parse(value);
    },
    schema: { type: "string", minLength: 1, ...schema },
  };
}

/** Any text that isn't empty; a path counts from the working directory. */
export const anyText: Kind<string> = textKind((text) => text);

/** `on` or `off`; in the file also true or false. */
export const onOff: Kind<boolean> = {
  parse(text) {
    if (text !== "on" && text !== "off") throw new RangeError("must be on or off");
    return text === "on";
  },
  fromFile: (value) => (typeof value === "boolean" ? value : onOff.parse(String(value))),
  schema: { enum: ["on", "off", true, false] },
};

/** One of a few words. */
export function oneOf<const W extends string>(words: readonly W[]): Kind<W> {
  const parse = (text: string): W => {
    const word = words.find((each) => each === text);
    if (word === undefined) throw new RangeError(`must be one of ${words.join(", ")}`);
    return word;
  };
  return { ...textKind(parse), schema: { enum: words } };
}

/** A number from `min` to `max`. */
export function numberBetween(min: number, max: number): Kind<number> {
  return numberKind("number", min, max);
}

/** A whole number from `min` to `max`. */
export function integerBetween(min: number, max: number): Kind<number> {
  return numberKind("integer", min, max);
}

function numberKind(type: "number" | "integer", min: number, max: number): Kind<number> {
  const checked = (value: number): number => {
    const sound = type === "integer" ? Number.isSafeInteger(value) : Number.isFinite(value);
    if (!sound || value < min || value > max)
      throw new RangeError(`must be ${type === "integer" ? "a whole number" : "a number"} from ${min} to ${max}`);
    return value;
  };
  return {
    parse: (text) => checked(/^-?\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN),
    fromFile: (value) => checked(typeof value === "number" ? value : Number.NaN),
    schema: { type, minimum: min, maximum: max },
  };
}

const unitSeconds: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** Spans of whole `units` (of `s`, `m`, `h`, `d`) up to `max`, each as its own text; `perSecond`: what a second counts as. */
function spanKind(units: string, max: string, example: string, perSecond: number): Kind<number> {
  const secondsOf = (text: string) => Number(text.slice(0, -1)) * (unitSeconds[text.slice(-1)] ?? Number.NaN);
  return textKind(
    (text) => {
      const seconds = new RegExp(`^[1-9]\\d{0,6}[${units}]$`).test(text) ? secondsOf(text) : Number.NaN;
      if (!(seconds <= secondsOf(max))) throw new RangeError(`must be a span as ${example}, up to ${max}`);
      return seconds * perSecond;
    },
    { pattern: `^[1-9][0-9]{0,6}[${units}]$` },
  );
}

/** A span of whole days or hours, as `7d` or `12h`, up to 365 days; gives ms. */
export const dayOrHourSpan: Kind<number> = spanKind("dh", "365d", "7d or 12h", 1_000);

/** A span of up to a day, as `30s`, `5m` or `2h`; gives seconds. */
export const spanWithinDay: Kind<number> = spanKind("smhd", "1d", "30s or 5m", 1);

/** Up to `itemsMax` values: in the environment with commas between them, in the file a list. */
export function listOf<T>(kind: Kind<T>, itemsMax: number): Kind<readonly T[]> {
  const bounded = (items: readonly unknown[]): void => {
    if (items.length > itemsMax) throw new RangeError(`must have at most ${itemsMax} items`);
  };
  const itemwise = <I>(items: readonly I[], read: (item: I) => T): readonly T[] =>
    items.map((item, i) => {
      try {
        return read(item);
      } catch (error) {
        throw error instanceof RangeError ? new RangeError(`has an item ${i + 1} that ${error.message}`) : error;
      }
    });
  return {
    parse(text) {
      const items = text.split(",").map((item) => item.trim());
      bounded(items);
      return itemwise(items, kind.parse);
    },
    fromFile(value) {
      if (!Array.isArray(value)) throw new RangeError("must be a list");
      bounded(value);
      return itemwise(value, kind.fromFile);
    },
    schema: { type: "array", items: kind.schema, maxItems: itemsMax },
  };
}

/** Where a listener listens. Port 0 lets the system choose. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** `host:port` or `[ipv6]:port`. */
export const listenAddress: Kind<ListenAddress> = textKind((text) => {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (host === undefined || port > 65_535) throw new RangeError("must be host:port or [ipv6]:port");
  return { host, port };
});

/** `host:port`, or `unix:` and the path of a Unix socket. */
export const listenPlace: Kind<ListenAddress | { readonly path: string }> = textKind((text) => {
  const path = /^unix:(.+)$/.exec(text)?.[1];
  try {
    return path === undefined ? listenAddress.parse(text) : { path };
  } catch (error) {
    throw error instanceof RangeError ? new RangeError(`${error.message}, or unix:PATH`) : error;
  }
});

/** The name of a header (RFC 9110 section 5.1); gives it in lower case. */
export const headerName: Kind<string> = textKind((text) => {
  if (!/^[A-Za-z0-9-]{1,64}$/.test(text)) throw new RangeError("must be the name of a header, as X-Real-IP");
  return text.toLowerCase();
});

/** Whom tokens are for; see core/audience.ts. */
export const audience: Kind<string> = textKind((text) => {
  if (!isAudience(text)) throw new RangeError("must be 1-255 characters of [A-Za-z0-9._~:/@+-]");
  return text;
});

/** Thumbprint of a key (RFC 7638): SHA-256 in base64url. */
export const thumbprint: Kind<string> = textKind(
  (text) => {
    if (!/^[A-Za-z0-9_-]{43}$/.test(text)) throw new RangeError("must be a thumbprint of 43 characters");
    return text;
  },
  { pattern: "^[A-Za-z0-9_-]{43}$" },
);

/** An http or https URL; gives it without slashes at its end. */
export const baseUrl: Kind<string> = textKind((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain =
    url !== undefined && /^https?:$/.test(url.protocol) && !url.search && !url.hash && !url.username && !url.password;
  if (!plain) throw new RangeError("must be an http:// or https:// URL without query, fragment or user");
  return text.replace(/\/+$/, "");
});

/** What core/database-url.ts knows; may hold a password. */
export const databaseUrl: Kind<string> = textKind((text) => {
  parseDatabaseUrl(text);
  return text;
});

/** `redis://` or `rediss://`; may hold a password. */
export const redisUrl: Kind<string> = textKind((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const sound =
    url !== undefined && /^rediss?:$/.test(url.protocol) && url.hostname !== "" && /^(\/\d{0,3})?$/.test(url.pathname);
  if (!sound || url.search !== "")
    throw new RangeError("must be redis://host:port or rediss://host:port, without query");
  return text;
});

/** A network in CIDR notation, and not all of them: gives its canonical text. */
export const network: Kind<string> = textKind((text) => {
  const canonical = canonicalNetwork(text);
  if (canonical === undefined) throw new RangeError("must be a network in CIDR notation, as 10.0.0.0/8");
  if (canonical.endsWith("/0")) throw new RangeError("must not be every address");
  return canonical;
});

/** An origin as browsers write it (RFC 6454 section 6.2): scheme, host and a port that isn't the scheme's own. */
export const webOrigin: Kind<string> = textKind((text) => {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.origin !== text || !/^https?:$/.test(url.protocol))
    throw new RangeError("must be an origin, as https://app.example.com, without path or slash at its end");
  return text;
});

/** A name of a client certificate, and the key that it stands for. */
export interface CertificateKey {
  /** `URI:…` or `DNS:…`. */
  readonly name: string;
  readonly keyId: KeyId;
}

/** `URI:spiffe://…=key_…` or `DNS:…=key_…`. */
export const certificateKey: Kind<CertificateKey> = textKind((text) => {
  const end = text.lastIndexOf("=");
  const name = text.slice(0, end);
  const keyId = parseId("key", text.slice(end + 1));
  if (!/^(URI|DNS):[!#-+\--~]+$/.test(name) || keyId === undefined)
    throw new RangeError("must be URI:… or DNS:…, an equals sign and a key's id");
  return { name, keyId };
});
