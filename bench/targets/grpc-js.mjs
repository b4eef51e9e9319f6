import { Server, ServerCredentials } from "@grpc/grpc-js";
import { answerBytes } from "./frames.mjs";
import { tell } from "./tell.mjs";

// A peer's transport: @grpc/grpc-js with a method that answers a constant, which it needn't even encode.
tell(async ({ answer }) => {
  const bytes = Buffer.from(answerBytes(answer));
  const asIs = (value) => value;
  const definition = {
    VerifyCredential: {
      path: "/ichor.v1.AdminService/VerifyCredential",
      requestStream: false,
      responseStream: false,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    },
  };
  const server = new Server();
  server.addService(definition, { VerifyCredential: (_call, done) => done(null, bytes) });
  const port = await new Promise((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { port };
});
