/**
 * The layers of tests: each is a folder of test/ and a project of the runner (`npx vitest run --project contract`).
 * A test file outside of them, and of test/ itself, would never run: hygiene.test.ts refuses it.
 */
export interface TestLayer {
  readonly name: string;
  /** Needs dist/: its tests start real server processes. */
  readonly needsDist: boolean;
  /** One test may take this long: bounds hangs, so it is generous; no test asserts a time by it. */
  readonly timeoutMs: number;
}

const second = 1_000;

export const testLayers: readonly TestLayer[] = [
  { name: "unit", needsDist: false, timeoutMs: 15 * second },
  { name: "property", needsDist: false, timeoutMs: 90 * second },
  { name: "vectors", needsDist: false, timeoutMs: 15 * second },
  { name: "contract", needsDist: false, timeoutMs: 90 * second },
  { name: "rpc", needsDist: false, timeoutMs: 45 * second },
  { name: "model", needsDist: false, timeoutMs: 180 * second },
  { name: "e2e", needsDist: true, timeoutMs: 90 * second },
  { name: "fault", needsDist: true, timeoutMs: 240 * second },
  { name: "docs", needsDist: true, timeoutMs: 180 * second },
];
