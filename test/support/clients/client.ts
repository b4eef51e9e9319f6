/** What a call came to: the answer as protobuf JSON, or the reason of its ErrorInfo. */
export type Answer =
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever JSON came.
  { readonly body: any; readonly reason?: undefined } | { readonly body?: undefined; readonly reason: string };

/** A client of some library or tool, so that one scenario can be played by each of them. */
export interface ForeignClient {
  /** Calls `ichor.v1.<method>` (as `AdminService/IssueApiKey`) with protobuf JSON. */
  call(method: string, body: object): Promise<Answer>;
  close(): void | Promise<void>;
}

/** Makes a client of the server at `url` that calls with `credential`. */
export type MakeClient = (url: string, credential: string) => Promise<ForeignClient>;
