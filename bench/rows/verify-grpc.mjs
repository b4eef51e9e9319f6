import { verifyOverGrpc } from "./loads.mjs";

const answerOf = ({ ichor }) => ({ answer: ichor.answer });
const asIchor = ({ port }, { ichor }) => verifyOverGrpc({ ...ichor, port });

/** VerifyCredential over gRPC, beside bare node:http2, a constant of @grpc/grpc-js and connect-node's own adapter. */
export const verifyGrpc = {
  title: "VerifyCredential, warm, gRPC over cleartext HTTP/2, 1 connection × 16 streams",
  peers: ["@grpc/grpc-js"],
  contenders: [
    { name: "ichor", target: "ichor", load: verifyOverGrpc },
    { name: "stock connectNodeAdapter", target: "stock", options: () => ({ http: 2 }), load: verifyOverGrpc },
    { name: "bare node:http2", target: "bare-http2", options: answerOf, load: asIchor },
    { name: "@grpc/grpc-js, a constant", target: "grpc-js", options: answerOf, load: asIchor },
  ],
  compare: [
    { of: "ichor", to: "bare node:http2", goal: 0.7 },
    { of: "ichor", to: "@grpc/grpc-js, a constant", goal: 1.2 },
    { of: "ichor", to: "stock connectNodeAdapter", goal: 8 },
  ],
};
