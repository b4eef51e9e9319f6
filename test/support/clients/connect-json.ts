import { callJson, reasonOf } from "../calls.ts";
import type { MakeClient } from "./client.ts";

/** Connect JSON over HTTP/1.1, as curl sends it. */
export const connectJsonClient: MakeClient = async (url, credential) => ({
  async call(method, body) {
    const answer = await callJson(url, method, credential, body);
    return answer.status === 200 ? { body: answer.body } : { reason: reasonOf(answer) ?? String(answer.body?.code) };
  },
  close() {},
});
