import { ConfigError } from "../config/config-error.ts";
import { type Reloadable, reloaded } from "../config/reload.ts";
import type { Settings } from "../config/setting.ts";
import type { Log } from "../rpc/log.ts";

export interface ReloadDeps<C> {
  /** Reads the configuration again. */
  readonly read: () => Promise<C>;
  /**
   * Makes ready what the configuration names, as files, and gives what puts it into effect, which must not throw. A
   * rejection leaves everything as it was.
   */
  readonly prepare: (config: C) => Promise<() => void>;
  readonly onReload: (outcome: "ok" | "failed") => void;
  readonly log: Pick<Log, "info" | "warn" | "error">;
}

/**
 * Gives what reads a running process's configuration again: all of it or nothing takes effect, and whoever reads the log
 * learns what was applied and what needs a restart. One at a time, in the order of asking. Never rejects.
 */
export function reloader<S extends Settings, C extends Reloadable<S>>(
  settings: S,
  running: C,
  { read, prepare, onReload, log }: ReloadDeps<C>,
): () => Promise<void> {
  let current = running;
  let last = Promise.resolve();
  const once = async (): Promise<void> => {
    try {
      const { config, applied, needRestart } = reloaded(settings, current, await read());
      const apply = await prepare(config);
      apply();
      current = config;
      if (needRestart.length > 0) log.warn({ needRestart }, "changed settings need a restart");
      log.info({ applied }, "configuration reloaded");
      onReload("ok");
    } catch (err) {
      // What is wrong is the operator's to mend, and told without a stack.
      const faults = err instanceof ConfigError ? err.faults : [err instanceof Error ? err.message : String(err)];
      log.error({ faults }, "configuration not reloaded: everything stays as it was");
      onReload("failed");
    }
  };
  return () => {
    last = last.then(once);
    return last;
  };
}
