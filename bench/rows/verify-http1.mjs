import { verifyOverHttp1 } from "./loads.mjs";

/** VerifyCredential as Connect JSON over HTTP/1.1, beside bare node:http and beside connect-node's own adapter. */
export const verifyHttp1 = {
  title: "VerifyCredential, warm, Connect JSON over HTTP/1.1, 16 connections",
  contenders: [
    { name: "ichor", target: "ichor", load: (told) => verifyOverHttp1(told) },
    { name: "stock connectNodeAdapter", target: "stock", load: (told) => verifyOverHttp1(told) },
    {
      name: "bare node:http",
      target: "bare-http",
      options: ({ ichor }) => ({ answer: ichor.answer }),
      load: ({ port }, { ichor }) => verifyOverHttp1({ ...ichor, port }),
    },
  ],
  compare: [
    { of: "ichor", to: "bare node:http", goal: 0.7 },
    { of: "ichor", to: "stock connectNodeAdapter", goal: 4 },
    { of: "stock connectNodeAdapter", to: "bare node:http" },
  ],
};
