import { join } from "node:path";
import { pingRedis } from "./changes/ping-redis.ts";
import type { ServerConfig } from "./config/server-config.ts";
import { examineContents } from "./doctor/examine-contents.ts";
import { examineDataDir, examineMasterKeyFile, examineRootKeyFile, examineTls } from "./doctor/examine-files.ts";
import { examinePeppers, examineSecrets } from "./doctor/examine-secrets.ts";
import { examineStore } from "./doctor/examine-store.ts";
import { type Finding, fail, messageOf, ok, warn } from "./doctor/finding.ts";
import { readTlsFiles } from "./http/tls-files.ts";
import { loadMasterKeys, type MasterKeys } from "./keyring/master-key.ts";
import { openSecret } from "./keyring/sealed-secret.ts";
import { secretsStatus } from "./keyring/secrets-status.ts";
import type { Store } from "./store/port.ts";
import { placeOfUrl, probeStore } from "./store/probe-store.ts";
import { StoreStartError } from "./store/start-error.ts";
import { withStore } from "./store/with-store.ts";

export interface DiagnoseDeps {
  /** Ms since the epoch. */
  readonly now: () => number;
  /** Random bytes of a cryptographic source. */
  readonly random: (size: number) => Uint8Array;
}

/** Looks at all that a server of this configuration would use, and changes nothing. Findings come in a fixed order. */
export async function diagnose(config: ServerConfig, deps: DiagnoseDeps): Promise<readonly Finding[]> {
  const { tls } = config;
  const masterKey = examineMasterKeyFile(config.masterKeyFile, () => loadMasterKeys(config.masterKeyFile));
  const store = await examineStore(placeOfUrl(config.databaseUrl), () => probeStore(config.databaseUrl, deps.now));
  return [
    examineDataDir(config.dataDir),
    ...examineRootKeyFile(join(config.dataDir, "root.key")),
    masterKey.finding,
    examineTls(tls && (() => readTlsFiles(tls)), deps.now()),
    ...store.findings,
    ...(store.usable ? await examineUsable(config.databaseUrl, masterKey.keys, deps) : []),
    ...(config.redisUrl === undefined ? [] : [await examineRedis(config.redisUrl)]),
  ];
}

async function examineUsable(
  url: string,
  masterKeys: MasterKeys | undefined,
  { now, random }: DiagnoseDeps,
): Promise<readonly Finding[]> {
  try {
    return await withStore({ url, migrate: false, now, random }, async (store) => [
      ...(await examineContents(store, now())),
      ...(masterKeys === undefined ? [] : await examineSealed(store, masterKeys, now())),
    ]);
  } catch (error) {
    // A fence, above all.
    if (!(error instanceof StoreStartError)) throw error;
    return [fail("store", messageOf(error), "see the operating guide's page on databases")];
  }
}

async function examineSealed(store: Store, masterKeys: MasterKeys, nowMs: number): Promise<readonly Finding[]> {
  const { peppers } = await secretsStatus(store, masterKeys, nowMs);
  return [...(await examineSecrets(store, openerOf(masterKeys))), ...examinePeppers(peppers)];
}

function openerOf(masterKeys: MasterKeys) {
  return {
    currentId: masterKeys.current.id,
    has: (id: string) => masterKeys.byId(id) !== undefined,
    open: (secret: Parameters<typeof openSecret>[1]) => void openSecret(masterKeys, secret),
  };
}

async function examineRedis(url: string): Promise<Finding> {
  try {
    await pingRedis(url);
    return ok("redis", "it answers");
  } catch (error) {
    const remedy = "servers go on without it, by polling; see ICHOR_REDIS_URL";
    return warn("redis", `it doesn't answer: ${messageOf(error)}`, remedy);
  }
}
