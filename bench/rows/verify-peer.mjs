import { verifyOverHttp1 } from "./loads.mjs";

/** Beside the TypeScript peer, both on SQLite. */
export const verifyPeer = {
  title: "VerifyCredential beside better-auth's API-key plugin, both on SQLite, JSON over HTTP/1.1",
  peers: ["better-auth", "@better-auth/api-key"],
  contenders: [
    { name: "ichor", target: "ichor", load: (told) => verifyOverHttp1(told) },
    { name: "better-auth", target: "better-auth", load: (told) => verifyOverHttp1(told) },
  ],
  compare: [{ of: "ichor", to: "better-auth", goal: 10 }],
};
