import { verifyLogs, verifyTelemetry, verifyTls } from "./costs.mjs";
import { sdk } from "./sdk.mjs";
import { stream } from "./stream.mjs";
import { verifyCold } from "./verify-cold.mjs";
import { verifyGrpc } from "./verify-grpc.mjs";
import { verifyHttp1 } from "./verify-http1.mjs";
import { verifyPeer } from "./verify-peer.mjs";

/** Every row, by the name that it is run under. */
export const rows = {
  "verify-http1": verifyHttp1,
  "verify-grpc": verifyGrpc,
  "verify-peer": verifyPeer,
  "verify-cold": verifyCold,
  "verify-logs": verifyLogs,
  "verify-telemetry": verifyTelemetry,
  "verify-tls": verifyTls,
  stream,
  sdk,
};
