import { verifyRequest } from "../targets/keys.mjs";

const verify = ({ port, caller, credentials }) => ({
  kind: "http1",
  port,
  path: "/ichor.v1.AdminService/VerifyCredential",
  headers: { "content-type": "application/json", authorization: `Bearer ${caller}` },
  requests: credentials.map((credential) => JSON.stringify(verifyRequest(credential))),
  connections: 16,
  expected: '"valid":true',
});

/** VerifyCredential as Connect JSON over HTTP/1.1, beside bare node:http and beside connect-node's own adapter. */
export const verifyHttp1 = {
  title: "VerifyCredential, warm, Connect JSON over HTTP/1.1, 16 connections",
  contenders: [
    { name: "ichor", target: "ichor", load: verify },
    { name: "stock connectNodeAdapter", target: "stock", load: verify },
    {
      name: "bare node:http",
      target: "bare-http",
      options: ({ ichor }) => ({ answer: ichor.answer }),
      load: ({ port }, { ichor }) => verify({ ...ichor, port }),
    },
  ],
  compare: [
    { of: "ichor", to: "bare node:http", goal: 0.7 },
    { of: "ichor", to: "stock connectNodeAdapter", goal: 4 },
    { of: "stock connectNodeAdapter", to: "bare node:http" },
  ],
};
