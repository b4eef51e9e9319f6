import { deriveOverHttp1, introspectOverHttp1, issueOverHttp1, verifyTokenOverHttp1 } from "./loads.mjs";

const provider = (options, load) => ({ name: "oidc-provider", target: "oidc-provider", options: () => options, load });

/** A JWT from a key, beside a node:http server that signs one and knows nothing else. */
export const deriveToken = {
  title: "DeriveToken: a JWT (EdDSA), Connect JSON over HTTP/1.1, 16 connections",
  peers: ["oidc-provider"],
  contenders: [
    { name: "ichor", target: "ichor", load: deriveOverHttp1 },
    {
      name: "bare node:http and crypto.sign",
      target: "bare-sign",
      load: ({ port }, { ichor }) => deriveOverHttp1({ ...ichor, port }),
    },
    provider({}, issueOverHttp1),
  ],
  compare: [
    { of: "ichor", to: "bare node:http and crypto.sign", most: 1.8 },
    { of: "ichor", to: "oidc-provider" },
  ],
};

/** Asking a server about a token, beside what OAuth 2 has for that (RFC 7662). */
export const verifyToken = {
  title: "VerifyToken of one JWT (EdDSA) beside introspection by oidc-provider, over HTTP/1.1, 16 connections",
  peers: ["oidc-provider"],
  contenders: [
    { name: "ichor", target: "ichor", options: () => ({ token: true }), load: verifyTokenOverHttp1 },
    provider({ token: true }, introspectOverHttp1),
  ],
  compare: [{ of: "ichor", to: "oidc-provider" }],
};
