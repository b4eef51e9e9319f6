import { createRouterTransport, type Transport } from "@connectrpc/connect";
import { createVerifier } from "../../services/verifier/create-verifier.ts";
import type { VerifierEvent, VerifierOptions } from "../../services/verifier/options.ts";
import type { Verifier } from "../../services/verifier/verifier.ts";
import { FakeVerifierClock } from "../fakes/verifier-clock.ts";
import type { TestApp } from "./test-app.ts";
import { issueKey, testAudience } from "./tokens.ts";

/** A verifier of a test server, with a clock that the test moves. */
export interface TestVerifier {
  readonly verifier: Verifier;
  readonly clock: FakeVerifierClock;
  readonly events: VerifierEvent[];
  /** Names of the methods that it has called. */
  readonly calls: readonly string[];
  /** Breaks the connection; none can be made until `connect`. */
  disconnect(): void;
  connect(): void;
  /** Resolves once the verifier has applied this revision. */
  applied(revision: bigint): Promise<void>;
}

/** Makes one that is ready; close it after. */
export async function startTestVerifier(t: TestApp, options: Partial<VerifierOptions> = {}): Promise<TestVerifier> {
  const made = await makeTestVerifier(t, options);
  await made.verifier.ready();
  return made;
}

/** Makes one that may never get ready. */
export async function makeTestVerifier(t: TestApp, options: Partial<VerifierOptions> = {}): Promise<TestVerifier> {
  const { credential } = await issueKey(t, {
    scopes: ["ichor:keyset:watch", "ichor:tokens:verify", `ichor:verify:aud:${testAudience}`],
  });
  const clock = new FakeVerifierClock(t.clock.now());
  const events: VerifierEvent[] = [];
  const line = breakable(createRouterTransport(t.app.routes));
  const waiting = new Set<() => void>();
  const verifier = createVerifier({
    transport: line.transport,
    audience: testAudience,
    credential,
    clock,
    jitter: () => 0.5,
    onEvent: (event) => {
      events.push(event);
      for (const look of [...waiting]) look();
    },
    ...options,
  });
  return {
    verifier,
    clock,
    events,
    calls: line.calls,
    disconnect: line.break,
    connect: line.mend,
    applied: (revision) =>
      new Promise((resolve) => {
        const look = () => {
          if (verifier.status().revision < revision) return;
          waiting.delete(look);
          resolve();
        };
        waiting.add(look);
        look();
      }),
  };
}

/** A transport whose streams end, and whose calls fail, while it is broken. */
export function breakable(transport: Transport) {
  let broken = new AbortController();
  let down = false;
  const calls: string[] = [];
  const refuse = () => {
    if (down) throw new Error("the line is down");
  };
  const joined = (signal: AbortSignal | undefined) =>
    AbortSignal.any(signal ? [signal, broken.signal] : [broken.signal]);
  const breaking: Transport = {
    unary: (method, signal, ...rest) => {
      refuse();
      calls.push(method.name);
      return transport.unary(method, joined(signal), ...rest);
    },
    stream: (method, signal, ...rest) => {
      refuse();
      calls.push(method.name);
      return transport.stream(method, joined(signal), ...rest);
    },
  };
  return {
    transport: breaking,
    calls,
    break: () => {
      down = true;
      broken.abort(new Error("the line broke"));
    },
    mend: () => {
      down = false;
      broken = new AbortController();
    },
  };
}
