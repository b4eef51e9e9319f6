/** Time between two looks for what is due, in ms. */
export const tendIntervalMs = 60_000;

/** Takes how a run of work by the clock ended. Must not throw. */
export type OnRun = (what: string, outcome: "ok" | "failed") => void;

/** Work that runs by the clock. */
export interface Periodic {
  /** Does what is due now, beside the clock, and waits for it. Rejects if it can't be done. */
  run(): Promise<void>;
  /** Ends it, after what is under way. */
  stop(): Promise<void>;
}

/** Runs nothing by the clock: another process of the server does what is due. */
export const leaveToOthers: typeof startPeriodic = (work) => ({ run: () => work(() => true), stop: async () => {} });

/** Runs work by the clock, at once and then again and again, until it is stopped; a fault is logged and tried again. */
export function startPeriodic(
  work: (goOn: () => boolean) => Promise<void>,
  {
    what,
    intervalMs,
    schedule,
    onRun,
    log,
  }: {
    /** Names the work in the log and in metrics. */
    readonly what: string;
    readonly intervalMs: number;
    /** Calls back once after so many ms and gives what cancels that. */
    readonly schedule: (callback: () => void, delayMs: number) => () => void;
    /** Told how each run ended. */
    readonly onRun: OnRun;
    readonly log: { error(fields: object, message: string): void };
  },
): Periodic {
  let running = true;
  let cancel = () => {};
  let underWay: Promise<void> = Promise.resolve();
  const look = () => {
    underWay = work(() => running)
      .then(
        () => onRun(what, "ok"),
        (err: unknown) => {
          log.error({ err, what }, "what is due could not be done");
          onRun(what, "failed");
        },
      )
      .then(() => {
        if (running) cancel = schedule(look, intervalMs);
      });
  };
  look();
  return {
    async run() {
      await underWay;
      if (running) await work(() => running);
    },
    async stop() {
      running = false;
      cancel();
      await underWay;
    },
  };
}
