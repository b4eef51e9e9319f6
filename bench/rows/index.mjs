import {
  verifyLimits,
  verifyLogs,
  verifyTelemetry,
  verifyTls,
  verifyTlsGrpc,
  verifyUse,
  verifyWorkers,
} from "./costs.mjs";
import { deriveToken, verifyToken } from "./derive-token.mjs";
import { sdk } from "./sdk.mjs";
import { sidecar, sidecarGrpc } from "./sidecar.mjs";
import { start } from "./start.mjs";
import { stream } from "./stream.mjs";
import { verifyCold, verifyColdPostgres } from "./verify-cold.mjs";
import { verifyGrpc } from "./verify-grpc.mjs";
import { verifyHttp1 } from "./verify-http1.mjs";
import { verifyPeer } from "./verify-peer.mjs";
import { verifyStoreSize } from "./verify-store-size.mjs";

/** Every row, by the name that it is run under. */
export const rows = {
  "verify-http1": verifyHttp1,
  "verify-grpc": verifyGrpc,
  "verify-peer": verifyPeer,
  "verify-cold": verifyCold,
  "verify-cold-postgres": verifyColdPostgres,
  "verify-store-size": verifyStoreSize,
  "verify-logs": verifyLogs,
  "verify-use": verifyUse,
  "verify-limits": verifyLimits,
  "verify-telemetry": verifyTelemetry,
  "verify-tls": verifyTls,
  "verify-tls-grpc": verifyTlsGrpc,
  "verify-workers": verifyWorkers,
  "derive-token": deriveToken,
  "verify-token": verifyToken,
  stream,
  sdk,
  sidecar,
  "sidecar-grpc": sidecarGrpc,
  start,
};
