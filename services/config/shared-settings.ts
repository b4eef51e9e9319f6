import { anyText, baseUrl, listenAddress, numberBetween, oneOf } from "./kinds.ts";
import { setting } from "./setting.ts";

/** Log levels, from most to least told. */
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

// What the server and the side-car both have.

export const logSettings = {
  logLevel: setting(oneOf(logLevels), "info", `One of ${logLevels.join(", ")}.`, { reload: true }),
};

export const telemetrySettings = {
  metricsListen: setting(
    listenAddress,
    "none: off",
    "Address of a listener of its own that answers `GET /metrics` with Prometheus' text, in clear and to anyone who reaches it.",
  ),
  otlpEndpoint: setting(
    baseUrl,
    "none: off",
    "Base URL of an OpenTelemetry collector that takes OTLP over HTTP, as `http://localhost:4318`: traces and metrics are sent there.",
    { variable: "OTEL_EXPORTER_OTLP_ENDPOINT" },
  ),
  traceSampleRatio: setting(
    numberBetween(0, 1),
    "1",
    "Which part of the traces that begin here is recorded, from 0 to 1; a caller's decision about its own trace is followed.",
  ),
};

export const listenerTlsSettings = {
  tlsCertFile: setting(
    anyText,
    "none: cleartext",
    "PEM certificate chain of the listener; goes with `tlsKeyFile`. A reload reads both files again.",
  ),
  tlsKeyFile: setting(
    anyText,
    "none: cleartext",
    "PEM private key of the listener; no rights for others than its owner and group.",
  ),
  tlsClientCaFile: setting(
    anyText,
    "none: clients aren't asked for a certificate",
    "PEM certificates of the authorities whose client certificates are taken; a reload reads it again.",
  ),
  tlsClientAuth: setting(
    oneOf(["required", "optional"]),
    "required",
    "Whether a client must show a certificate, where `tlsClientCaFile` is set; one that is shown must be good either way.",
  ),
};
