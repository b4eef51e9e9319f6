import { ConfigError } from "../config/config-error.ts";
import { reloaded } from "../config/reload.ts";
import type { ServerConfig } from "../config/server-config.ts";
import type { Log } from "../rpc/log.ts";

export interface ReloadDeps {
  /** Reads the configuration again. */
  readonly read: () => Promise<ServerConfig>;
  /**
   * Makes ready what the configuration names, as files, and gives what puts it into effect, which must not throw. A
   * rejection leaves everything as it was.
   */
  readonly prepare: (config: ServerConfig) => Promise<() => void>;
  readonly onReload: (outcome: "ok" | "failed") => void;
  readonly log: Pick<Log, "info" | "warn" | "error">;
}

/**
 * Gives what reads a running server's configuration again: all of it or nothing takes effect, and whoever reads the log
 * learns what was applied and what needs a restart. One at a time, in the order of asking. Never rejects.
 */
export function reloader(running: ServerConfig, { read, prepare, onReload, log }: ReloadDeps): () => Promise<void> {
  let current = running;
  let last = Promise.resolve();
  const once = async (): Promise<void> => {
    try {
      const { config, applied, needRestart } = reloaded(current, await read());
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
