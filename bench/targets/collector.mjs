import { createServer } from "node:http";

// Stands for a collector: takes what is sent and keeps nothing, in a process of its own whose CPU isn't counted.
const server = createServer((request, response) => {
  request.resume().once("end", () => {
    response.setHeader("content-type", "application/x-protobuf");
    response.end();
  });
});
server.listen(0, "127.0.0.1", () => process.send({ port: server.address().port }));
process.once("disconnect", () => process.exit());
