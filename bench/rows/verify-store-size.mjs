import { verifyOverHttp1 } from "./loads.mjs";

const cold = (told) => verifyOverHttp1(told, { noCache: true });
const ofSize = (name, stored) => ({ name, target: "ichor", options: () => ({ stored }), load: cold });

/** Random keys of small and of large stores, the store asked each time. Making the large ones takes a minute. */
export const verifyStoreSize = {
  title: "VerifyCredential of random keys, the store asked each time, embedded SQLite, by the number of keys",
  contenders: [ofSize("10 000 keys", 10_000), ofSize("100 000 keys", 100_000), ofSize("1 000 000 keys", 1_000_000)],
  compare: [
    { of: "100 000 keys", to: "10 000 keys" },
    { of: "1 000 000 keys", to: "10 000 keys", goal: 0.9 },
  ],
};
