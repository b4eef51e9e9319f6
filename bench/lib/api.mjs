/** Calls methods of a server as JSON, with its root credential unless another one is named. */
export function apiOf({ port, rootCredential }) {
  return async (method, body = {}, credential = rootCredential) => {
    const response = await fetch(`http://127.0.0.1:${port}/ichor.v1.${method}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${credential}` },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${method}: ${response.status} ${await response.text()}`);
    return response.json();
  };
}

/** Ms of a clock that all processes of the machine share. */
export function sharedNowMs() {
  return Number(process.hrtime.bigint()) / 1e6;
}
