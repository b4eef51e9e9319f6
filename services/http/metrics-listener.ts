import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A port of its own for metrics: nothing else is served there, and metrics nowhere else. */
export interface MetricsListener {
  /** Gives the URL of the metrics. Rejects with Node's error, as EADDRINUSE. */
  listen(host: string, port: number): Promise<{ readonly url: string }>;
  close(): Promise<void>;
}

/** Who scrapes is few, and asks little. */
const connectionsMax = 20;
const timeoutMs = 10_000;
const headerBytesMax = 8 * 1024;

/** Answers `GET /metrics` with what `metrics` gives, in Prometheus' text, and everything else with 404. In clear and for anyone: bind it to where only the monitoring is. */
export function createMetricsListener(metrics: () => Promise<string>): MetricsListener {
  const server = createServer(
    { headersTimeout: timeoutMs, requestTimeout: timeoutMs, maxHeaderSize: headerBytesMax },
    (request, response) => {
      const isRead = request.method === "GET" || request.method === "HEAD";
      if (!isRead || request.url?.split("?")[0] !== "/metrics") {
        response.statusCode = 404;
        response.end();
        return;
      }
      metrics().then(
        (text) => {
          response.setHeader("content-type", "text/plain; version=0.0.4; charset=utf-8");
          response.end(text);
        },
        // A part would be taken for the whole.
        () => {
          response.statusCode = 503;
          response.end();
        },
      );
    },
  );
  server.maxConnections = connectionsMax;
  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen({ host, port }, () => {
          server.off("error", reject);
          const { address, family, port: bound } = server.address() as AddressInfo;
          resolve({ url: `http://${family === "IPv6" ? `[${address}]` : address}:${bound}/metrics` });
        });
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
