/**
 * What one instrument measures. `counter`: adds up; `gauge`: is read when it is collected; `histogram`: a distribution,
 * with the upper bounds of its buckets.
 */
export interface InstrumentSpec {
  readonly kind: "counter" | "gauge" | "histogram";
  /** UCUM, with what is counted in braces. */
  readonly unit: string;
  readonly help: string;
  /** The attributes that each value carries. Few values each, and none that names a key, a tenant or a person. */
  readonly attributes: readonly string[];
  /** Which value counts for several processes of a server; absent: their sum. */
  readonly across?: "least" | "most";
  readonly buckets?: readonly number[];
}

/** From a warm verification to the longest that a call may take, in s; those of the conventions are among them. */
const callSeconds = [
  0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60,
];

/**
 * The closed list of what Ichor measures, by name. OpenTelemetry's semantic conventions give the names of what they know
 * (`rpc.…`, `db.…`, `process.…`, `nodejs.…`, `v8js.…`); the rest is `ichor.…`. In Prometheus' text a dot is an
 * underscore, and a counter ends in `_total`.
 */
export const instruments = {
  "rpc.server.call.duration": {
    kind: "histogram",
    unit: "s",
    help: "Calls by method and status; of a stream, how long it was open. `error.type`: the reason, empty if it went well.",
    attributes: ["rpc.system.name", "rpc.method", "rpc.response.status_code", "error.type"],
    buckets: callSeconds,
  },
  "ichor.verifications": {
    kind: "counter",
    unit: "{verification}",
    help: "Answers of VerifyCredential, its batch and VerifyToken by code and kind of credential.",
    attributes: ["ichor.code", "ichor.kind"],
  },
  "ichor.tokens.derived": {
    kind: "counter",
    unit: "{token}",
    help: "Tokens that were derived.",
    attributes: ["ichor.format"],
  },
  "ichor.cache.reads": {
    kind: "counter",
    unit: "{read}",
    help:
      "Look-ups of records, or of a side-car's kept answers (`answers`); `ichor.result`: hit, miss (one question to the store, or to the " +
      "server, may answer several), or bypass (it had to be asked).",
    attributes: ["ichor.cache", "ichor.result"],
  },
  "ichor.cache.size": {
    kind: "gauge",
    unit: "By",
    help: "Memory that cached records, or kept answers, take, as estimated.",
    attributes: ["ichor.cache"],
  },
  "ichor.log.revision": {
    kind: "gauge",
    unit: "{revision}",
    help: "Revision up to which this server knows every change.",
    attributes: [],
    across: "least",
  },
  "ichor.log.lag": {
    kind: "gauge",
    unit: "{revision}",
    help: "Revisions between that and the store's head, as it was last seen.",
    attributes: [],
    across: "most",
  },
  "ichor.log.age": {
    kind: "gauge",
    unit: "s",
    help: "Time since this server knew every change; from 5 s on it isn't ready.",
    attributes: [],
    across: "most",
  },
  "ichor.log.resets": {
    kind: "counter",
    unit: "{reset}",
    help: "Times that the store's history was another one than the one that was followed.",
    attributes: ["ichor.reason"],
  },
  "ichor.stream.subscribers": {
    kind: "gauge",
    unit: "{subscriber}",
    help: "Open key-set streams.",
    attributes: [],
  },
  "ichor.stream.messages": {
    kind: "counter",
    unit: "{message}",
    help: "Messages written to key-set streams.",
    attributes: [],
  },
  "ichor.stream.resyncs": {
    kind: "counter",
    unit: "{resync}",
    help: "Times that a subscriber had to begin anew.",
    attributes: ["ichor.reason"],
  },
  "ichor.use.flushes": {
    kind: "counter",
    unit: "{flush}",
    help: "Batches of counted use that were written, or failed and wait.",
    attributes: ["ichor.outcome"],
  },
  "ichor.use.waiting": {
    kind: "gauge",
    unit: "{key}",
    help: "Keys whose use isn't written yet.",
    attributes: [],
  },
  "ichor.store.commits": {
    kind: "counter",
    unit: "{transaction}",
    help: "Changing transactions that were committed here.",
    attributes: [],
  },
  "ichor.calls.waiting": {
    kind: "gauge",
    unit: "{call}",
    help: "Unary calls that wait for something; from half of the bound on, one caller alone gets no more.",
    attributes: [],
  },
  "ichor.lookups.waiting": {
    kind: "gauge",
    unit: "{credential}",
    help: "Credentials that wait to be looked up together, since their addresses had too many that are none.",
    attributes: [],
  },
  "ichor.limits.shared": {
    kind: "gauge",
    unit: "1",
    help: "1 while rate limits are shared by Redis, 0 while this server keeps them alone although Redis is set.",
    attributes: [],
    across: "least",
  },
  "ichor.store.retries": {
    kind: "counter",
    unit: "{retry}",
    help: "Transactions that were begun again after a conflict.",
    attributes: [],
  },
  "db.client.connection.count": {
    kind: "gauge",
    unit: "{connection}",
    help: "Connections to the database server; `state`: used or idle.",
    attributes: ["state"],
  },
  "db.client.connection.pending_requests": {
    kind: "gauge",
    unit: "{request}",
    help: "Requests that wait for a connection to the database server.",
    attributes: [],
  },
  "ichor.wake_ups": {
    kind: "counter",
    unit: "{hint}",
    help: "Hints between servers of one store; `ichor.direction`: sent or heard.",
    attributes: ["ichor.direction"],
  },
  "ichor.wake_ups.connected": {
    kind: "gauge",
    unit: "1",
    help: "Whether hints of other servers can be heard; no value if none are configured.",
    attributes: [],
    across: "least",
  },
  "ichor.upstream.questions": {
    kind: "counter",
    unit: "{question}",
    help: "What a side-car asks its server; `ichor.outcome`: ok, failed, or refused, as too much was being asked.",
    attributes: ["ichor.outcome"],
  },
  "ichor.upstream.waiting": {
    kind: "gauge",
    unit: "{question}",
    help: "Questions of a side-car that its server hasn't answered yet.",
    attributes: [],
  },
  "ichor.key_set.connected": {
    kind: "gauge",
    unit: "1",
    help: "Whether a side-car follows its server.",
    attributes: [],
  },
  "ichor.key_set.age": {
    kind: "gauge",
    unit: "s",
    help: "Age of what a side-car knows; above its bound it decides nothing by itself. No value before it knows anything.",
    attributes: [],
  },
  "ichor.key_set.revision": {
    kind: "gauge",
    unit: "{revision}",
    help: "Revision up to which a side-car knows every change.",
    attributes: [],
  },
  "ichor.gateway.answers": {
    kind: "counter",
    unit: "{answer}",
    help: "Answers to gateways; `ichor.door`: forward-auth or ext_authz.",
    attributes: ["ichor.door", "http.response.status_code"],
  },
  "ichor.periodic.runs": {
    kind: "counter",
    unit: "{run}",
    help: "Runs of work by the clock; `ichor.outcome`: ok or failed.",
    attributes: ["ichor.work", "ichor.outcome"],
  },
  "ichor.config.reloads": {
    kind: "counter",
    unit: "{reload}",
    help: "Reloads of the configuration; `ichor.outcome`: ok or failed, which changed nothing.",
    attributes: ["ichor.outcome"],
  },
  "ichor.tls.certificate.expiry": {
    kind: "gauge",
    unit: "s",
    help: "When the listener's certificate ends, in Unix time; no value without TLS.",
    attributes: [],
    across: "least",
  },
  "process.cpu.time": {
    kind: "counter",
    unit: "s",
    help: "CPU time of the process.",
    attributes: ["cpu.mode"],
  },
  "process.memory.usage": {
    kind: "gauge",
    unit: "By",
    help: "Resident memory of the process.",
    attributes: [],
  },
  "process.uptime": {
    kind: "gauge",
    unit: "s",
    help: "Time since the process began.",
    attributes: [],
    across: "most",
  },
  "v8js.memory.heap.used": {
    kind: "gauge",
    unit: "By",
    help: "Heap that is in use.",
    attributes: [],
  },
  "nodejs.eventloop.delay.p99": {
    kind: "gauge",
    unit: "s",
    help: "99th percentile of the event loop's delay since the last collection.",
    attributes: [],
    across: "most",
  },
  "nodejs.eventloop.delay.max": {
    kind: "gauge",
    unit: "s",
    help: "Longest delay of the event loop since the last collection.",
    attributes: [],
    across: "most",
  },
  "nodejs.eventloop.utilization": {
    kind: "gauge",
    unit: "1",
    help: "Part of the time since the last collection that the event loop was busy.",
    attributes: [],
    across: "most",
  },
} as const satisfies Record<string, InstrumentSpec>;

/** The names that are on the list, by kind. */
export type InstrumentName<Kind extends InstrumentSpec["kind"]> = {
  [N in keyof typeof instruments]: (typeof instruments)[N]["kind"] extends Kind ? N : never;
}[keyof typeof instruments];

/** What a value of an instrument carries: exactly its attributes. */
export type AttributesOf<N extends keyof typeof instruments> = Readonly<
  Record<(typeof instruments)[N]["attributes"][number], string>
>;
