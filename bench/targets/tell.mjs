/** Waits for the bench's options, tells it `facts(options)` once the target can be called, and answers its questions. */
export function tell(facts) {
  process.once("message", async ({ options }) => {
    process.send(await facts(options));
    process.on("message", () => {
      const { user, system } = process.cpuUsage();
      process.send(user + system);
    });
  });
}

/** Resolves with the port once the server listens. */
export function listening(server) {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(server.address().port));
  });
}
