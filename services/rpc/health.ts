import { Code, ConnectError } from "@connectrpc/connect";
import { Health, HealthCheckResponse_ServingStatus as Status } from "../../gen/grpc/health/v1/health_pb.ts";
import { IchorError } from "../core/errors.ts";
import { openService, type Registration } from "./method-registry.ts";
import type { Readiness } from "./readiness.ts";

/**
 * grpc.health.v1 over the server's readiness: every service is SERVING or NOT_SERVING together, since all need the same
 * store. `serviceNames` are the full names that may be asked about, beside the empty one for the whole server.
 * Watch ends with DRAINING once it has told NOT_SERVING, so that it doesn't hold up the shutdown.
 */
export function healthService(serviceNames: readonly string[], readiness: Readiness): Registration {
  const known = new Set(["", ...serviceNames]);
  const statusOf = (service: string): Status => {
    if (!known.has(service)) return Status.SERVICE_UNKNOWN;
    return readiness.reasons().length === 0 ? Status.SERVING : Status.NOT_SERVING;
  };

  return openService(Health, {
    async check({ service }) {
      // The protocol's own code; no reason of error_reason.proto stands for it.
      if (!known.has(service)) throw new ConnectError("no such service", Code.NotFound);
      return { status: statusOf(service) };
    },
    async *watch({ service }, { signal }) {
      let told: Status | undefined;
      while (!signal.aborted || readiness.draining) {
        // As of now: much may happen before a slow reader lets the yield return.
        const { version, draining } = readiness;
        const status = statusOf(service);
        if (status !== told) yield { status };
        told = status;
        if (draining) throw new IchorError("DRAINING", "the server is shutting down");
        await readiness.changed(version, signal);
      }
    },
  });
}
