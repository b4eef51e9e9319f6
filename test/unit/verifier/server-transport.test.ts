import { createServer, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { AdminService } from "../../../gen/ichor/v1/admin_service_pb.ts";
import { ServerTransport, silenceMsMax } from "../../../services/verifier/server-transport.ts";

let server: Http2Server;
let url: string;
let sessions = 0;
/** What the server does with a call, by the credential. */
const answers: Record<string, () => Promise<object>> = {
  good: async () => ({ valid: true }),
  refused: () => Promise.reject(new ConnectError("no", Code.PermissionDenied)),
  silent: () => new Promise(() => {}),
};

beforeAll(async () => {
  const routes = connectNodeAdapter({
    routes: ({ rpc }) => {
      rpc(AdminService.method.verifyCredential, ({ credential }) => (answers[credential] ?? answers.good)?.() ?? {});
      rpc(AdminService.method.watchEvents, async function* ({ actions }) {
        yield {};
        if (actions.length > 0) await new Promise(() => {});
      });
    },
  });
  server = createServer(routes);
  server.on("session", () => sessions++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());
beforeEach(() => {
  sessions = 0;
});

function client() {
  const clock = { ms: 1_000_000 };
  const transport = new ServerTransport({ url }, () => clock.ms);
  const { verifyCredential, watchEvents } = createClient(AdminService, transport);
  const ask = (credential: string, signal?: AbortSignal) =>
    verifyCredential({ credential }, { ...(signal && { signal }) });
  const codeOf = (asked: Promise<unknown>) =>
    asked.then(
      () => "answered",
      (error: unknown) => Code[ConnectError.from(error).code],
    );
  return { clock, transport, ask, codeOf, watchEvents };
}

describe("the way to a server", () => {
  it("is one connection, whatever the server answers and however long nobody asks", async () => {
    const { clock, ask, codeOf } = client();
    for (const credential of ["good", "refused", "good", "refused"]) {
      await codeOf(ask(credential));
      clock.ms += 3_600_000;
    }
    expect(sessions).toBe(1);
  });

  it("is another connection once calls wait too long without a word, and what waits on the first one ends", async () => {
    const { clock, ask, codeOf } = client();
    await ask("good");
    const gone = new AbortController();
    const [one, other] = [codeOf(ask("silent", gone.signal)), codeOf(ask("silent"))];
    await ask("good");
    clock.ms += silenceMsMax;
    gone.abort();
    expect([await one, await other]).toEqual(["Canceled", "Canceled"]);
    expect(await codeOf(ask("good"))).toBe("answered");
    expect(sessions).toBe(2);
  });

  it("stays the same if a call is given up early, or while others are answered", async () => {
    const { clock, ask, codeOf } = client();
    const other = codeOf(ask("silent"));
    await ask("good");
    for (let i = 0; i < 5; i++) {
      const gone = new AbortController();
      const asked = codeOf(ask("silent", gone.signal));
      clock.ms += silenceMsMax / 2;
      await ask("good");
      clock.ms += silenceMsMax / 2;
      gone.abort();
      expect(await asked).toBe("Canceled");
    }
    expect(sessions).toBe(1);
    void other;
  });

  it("doesn't count the time in which nobody waited", async () => {
    const { clock, ask, codeOf } = client();
    const early = new AbortController();
    const first = codeOf(ask("silent", early.signal));
    early.abort();
    expect(await first).toBe("Canceled");
    clock.ms += 3_600_000;
    const late = new AbortController();
    const [one, other] = [codeOf(ask("silent", late.signal)), codeOf(ask("good"))];
    late.abort();
    expect([await one, await other]).toEqual(["Canceled", "answered"]);
    expect(sessions).toBe(1);
  });

  it("counts what calls one after another waited for nothing", async () => {
    const { clock, ask, codeOf } = client();
    await ask("good");
    for (let i = 0; i < 4; i++) {
      const gone = new AbortController();
      const asked = codeOf(ask("silent", gone.signal));
      clock.ms += silenceMsMax / 4;
      gone.abort();
      await asked;
    }
    await ask("good");
    expect(sessions).toBe(2);
  });

  it("is another connection once a stream is silent for too long", async () => {
    const { clock, ask, watchEvents } = client();
    const gone = new AbortController();
    const stream = watchEvents({ actions: ["silent"] }, { signal: gone.signal })[Symbol.asyncIterator]();
    await stream.next();
    const next = stream.next();
    clock.ms += silenceMsMax;
    gone.abort();
    await expect(next).rejects.toMatchObject({ code: Code.Canceled });
    await ask("good");
    expect(sessions).toBe(2);
  });

  it("lets calls end on the old connection when it is renewed", async () => {
    const { transport, ask, codeOf } = client();
    let answer = (_: object) => {};
    answers.later = () =>
      new Promise((resolve) => {
        answer = resolve;
      });
    const asked = codeOf(ask("later"));
    await ask("good");
    transport.renew({});
    await ask("good");
    answer({ valid: true });
    expect(await asked).toBe("answered");
    expect(sessions).toBe(2);
  });
});
