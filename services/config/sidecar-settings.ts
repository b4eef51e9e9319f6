import {
  anyText,
  audience,
  baseUrl,
  headerName,
  listenAddress,
  listenPlace,
  listOf,
  onOff,
  spanWithinDay,
  thumbprint,
} from "./kinds.ts";
import { setting, settingsOf } from "./setting.ts";
import { listenerTlsSettings, logSettings, telemetrySettings } from "./shared-settings.ts";

/** The side-car's settings; each is a flag of `ichor sidecar`, too. */
export const sidecarSettings = settingsOf("SIDECAR", {
  upstream: setting(baseUrl, "none: must be set", "Base URL of the server.", { required: true }),
  credentialFile: setting(
    anyText,
    "none: must be set",
    "File that holds the side-car's own key; readable by its owner only.",
    { required: true },
  ),
  audience: setting(
    audience,
    "none",
    "Whose tokens are verified here; without it those for the server, and only JWTs.",
  ),
  snapshotFile: setting(anyText, "none", "Where the key set is kept, sealed, for the next start."),
  maxStaleness: setting(
    spanWithinDay,
    "30s",
    "How old what is known may be, as `30s` or `5m`, up to a day; then nothing is decided here.",
  ),
  listen: setting(
    listenPlace,
    "127.0.0.1:8421",
    "Where it listens: `host:port`, `[ipv6]:port`, or `unix:` and the path of a Unix socket.",
  ),
  allowRemote: setting(
    onOff,
    "off",
    "Whether it may listen on an address that isn't loopback without asking for certificates: `on` or `off`; the flag has " +
      "no value. Whoever reaches it may verify.",
  ),
  credentialHeader: setting(
    headerName,
    "`Authorization: Bearer` or `X-API-Key`",
    "For gateways: the one header that has the credential.",
  ),
  clientIpHeader: setting(
    headerName,
    "none: no address is believed",
    "For gateways: the header in which they tell the client's address.",
  ),
  upstreamJwt: setting(
    audience,
    "none: services get no token",
    "For gateways: whom the JWT is for that services get in place of a key; needs `ichor:tokens:derive`.",
  ),
  upstreamJwtHeader: setting(
    headerName,
    "`Authorization`, as `Bearer`",
    "For gateways: the header in which services get it.",
  ),
  routes: setting(
    anyText,
    "none: each question says it",
    "For gateways: YAML file of what routes ask for, by host, path and method; see `docs/operate/gateways.md`.",
  ),
  feedKeys: setting(
    listOf(thumbprint, 8),
    "none: the server is believed",
    "Thumbprints of the feed keys that are believed, whoever hands on what they signed: what `ichor feed-key show` tells. " +
      "Needs `issuer`.",
  ),
  issuer: setting(baseUrl, "none", "The issuer whose feeds are believed; goes with `feedKeys`."),
  ...logSettings,
  ...telemetrySettings,
  ...listenerTlsSettings,
  upstreamCaFile: setting(
    anyText,
    "the system's authorities",
    "PEM certificates of the authorities by whose certificates the server is known; these alone. A reload reads it again.",
  ),
  upstreamCertFile: setting(
    anyText,
    "none",
    "PEM certificate chain that is shown to the server; goes with `upstreamKeyFile`. A reload reads both files again.",
  ),
  upstreamKeyFile: setting(anyText, "none", "Its PEM private key; no rights for others than its owner and group."),
  relayListen: setting(
    listenAddress,
    "none: nobody follows it",
    "Where verifiers and other side-cars may follow this one, each with a key of its own: `host:port` or `[ipv6]:port`.",
  ),
  relayTlsCertFile: setting(
    anyText,
    "none: cleartext",
    "PEM certificate chain of that listener; goes with `relayTlsKeyFile`. A reload reads both files again.",
  ),
  relayTlsKeyFile: setting(
    anyText,
    "none: cleartext",
    "Its PEM private key; no rights for others than its owner and group.",
  ),
});

export type SidecarSetting = keyof typeof sidecarSettings;
