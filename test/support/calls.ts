/** A plain Connect JSON call: what curl does. */
export interface JsonAnswer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: a test looks into whatever JSON came.
  readonly body: any;
}

/** Calls a method over HTTP/1.1 with JSON. */
export async function callJson(
  url: string,
  method: string,
  credential: string | undefined,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<JsonAnswer> {
  const response = await fetch(`${url}/ichor.v1.${method}`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(credential && { authorization: `Bearer ${credential}` }),
      ...headers,
    },
    body: JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
}

/** The `ErrorInfo.reason` of a Connect error's JSON; undefined if there is none. */
export function reasonOf(answer: JsonAnswer): string | undefined {
  const detail = answer.body?.details?.find((d: { type: string }) => d.type === "google.rpc.ErrorInfo");
  return detail?.debug?.reason;
}
