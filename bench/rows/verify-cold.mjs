import { verifyOverHttp1 } from "./loads.mjs";

/** A verification that must ask the store, beside one that needn't. */
export const verifyCold = {
  title: "VerifyCredential, the store asked each time (`no_cache`), embedded SQLite",
  contenders: [
    { name: "warm", target: "ichor", load: (told) => verifyOverHttp1(told) },
    { name: "cold", target: "ichor", load: (told) => verifyOverHttp1(told, { noCache: true }) },
  ],
  compare: [{ of: "cold", to: "warm", goal: 0.4 }],
};
