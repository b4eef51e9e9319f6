import { writeFileSync } from "node:fs";
import { Session } from "node:inspector/promises";

/** Waits for the bench's options, tells it `facts(options)` once the target can be called, and answers its questions. */
export function tell(facts) {
  process.once("message", async ({ options }) => {
    process.send(await facts(options));
    process.on("message", (question) => answers[question.ask](question).then((answer) => process.send(answer)));
  });
}

const session = new Session();

const answers = {
  /** CPU time of this process so far, in µs. */
  async cpu() {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  async startProfile() {
    session.connect();
    await session.post("Profiler.enable");
    await session.post("Profiler.start");
    return true;
  },
  async stopProfile({ path }) {
    const { profile } = await session.post("Profiler.stop");
    session.disconnect();
    writeFileSync(path, JSON.stringify(profile));
    return true;
  },
};

/** Resolves with the port once the server listens. */
export function listening(server) {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(server.address().port));
  });
}
