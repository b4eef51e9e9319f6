import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { plainEnvironment } from "../server-process.ts";

const script = new URL("./token_libraries.py", import.meta.url).pathname;

/** PyJWT and pymacaroons in a process of their own; see token_libraries.py. */
export interface TokenLibraries {
  /** Checks a JWT with the keys that the server publishes. */
  jwt(request: { jwt: string; jwks: string; audience: string; issuer: string }): Promise<{
    readonly claims?: Readonly<Record<string, unknown>>;
    readonly refused?: string;
  }>;
  /** Narrows a macaroon (v2 in base64url) and verifies it with a root key in hex. */
  macaroon(request: {
    macaroon: string;
    key: string;
    add: readonly string[];
    satisfied: readonly string[];
  }): Promise<{ readonly valid: boolean; readonly narrowed: string }>;
  close(): Promise<void>;
}

/** Starts them. `python` is the interpreter's path. */
export function startTokenLibraries(python: string): TokenLibraries {
  const child = spawn(python, [script], { env: plainEnvironment(), stdio: ["pipe", "pipe", "inherit"] });
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const ask = async (request: object) => {
    child.stdin.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await answers.next();
    if (done) throw new Error("the Python process ended");
    return JSON.parse(value);
  };
  return {
    jwt: ask,
    macaroon: ask,
    async close() {
      child.stdin.end();
      await new Promise((resolve) => child.once("close", resolve));
    },
  };
}
