import { verifyOverGrpc, verifyOverHttp1 } from "./loads.mjs";

const beside = ({ origin }) => ({ server: origin });
const onSocket = ({ origin }) => ({ server: origin, socket: true });

/** VerifyCredential of keys that a side-car knows, beside the server's own, and beside nginx that decides nothing. */
export const sidecar = {
  title: "VerifyCredential at a side-car, warm, Connect JSON over HTTP/1.1, 16 connections",
  contenders: [
    { name: "origin", target: "ichor", load: (told) => verifyOverHttp1(told) },
    { name: "side-car", target: "sidecar", options: beside, load: (told) => verifyOverHttp1(told) },
    { name: "side-car, Unix socket", target: "sidecar", options: onSocket, load: (told) => verifyOverHttp1(told) },
    {
      name: "nginx alone, a constant",
      target: "nginx",
      options: ({ origin }) => ({ answer: origin.answer }),
      load: ({ port }, { origin }) => verifyOverHttp1({ ...origin, port }),
      withChildren: true,
    },
  ],
  compare: [
    { of: "side-car", to: "origin" },
    { of: "side-car, Unix socket", to: "origin" },
    { of: "side-car, Unix socket", to: "side-car" },
    { of: "side-car", to: "nginx alone, a constant" },
  ],
};

/** The same over gRPC. */
export const sidecarGrpc = {
  title: "VerifyCredential at a side-car, warm, gRPC over cleartext HTTP/2, 1 connection × 16 streams",
  contenders: [
    { name: "origin", target: "ichor", load: verifyOverGrpc },
    { name: "side-car", target: "sidecar", options: beside, load: verifyOverGrpc },
    { name: "side-car, Unix socket", target: "sidecar", options: onSocket, load: verifyOverGrpc },
  ],
  compare: [
    { of: "side-car", to: "origin" },
    { of: "side-car, Unix socket", to: "origin" },
    { of: "side-car, Unix socket", to: "side-car" },
  ],
};
