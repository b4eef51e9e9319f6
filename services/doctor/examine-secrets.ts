import { IchorError } from "../core/errors.ts";
import type { PepperUse, SealedSecret, Store } from "../store/port.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

/** The master keys that are loaded, and what they open. */
export interface OpensSecrets {
  readonly currentId: string;
  has(masterKeyId: string): boolean;
  /** Throws SECRET_NOT_LOADED if the secret is damaged. */
  open(secret: SealedSecret): void;
}

const pageSize = 100;

/** Looks at every secret of the store: whether this machine's master keys open it. */
export async function examineSecrets(
  store: Pick<Store, "secretsNotUnder">,
  keys: OpensSecrets,
): Promise<readonly Finding[]> {
  const seen = { under: new Map<string, number>(), damaged: [] as string[] };
  for (let afterId = ""; ; ) {
    // Under no master key at all: every secret there is.
    const page = await store.secretsNotUnder("", afterId, pageSize);
    for (const secret of page) {
      seen.under.set(secret.masterKeyId, (seen.under.get(secret.masterKeyId) ?? 0) + 1);
      if (keys.has(secret.masterKeyId) && !opens(keys, secret)) seen.damaged.push(secret.id);
    }
    const last = page.at(-1);
    if (last === undefined || page.length < pageSize) return findingsOf(keys, seen.under, seen.damaged);
    afterId = last.id;
  }
}

/** Looks at what secrets of keys are bound to: `createTimeMs` is missing of a pepper that the store no longer has. */
export function examinePeppers(
  peppers: readonly (Pick<PepperUse, "pepperId" | "live"> & {
    readonly createTimeMs?: number;
    readonly current: boolean;
  })[],
): readonly Finding[] {
  const lost = peppers.filter(({ createTimeMs, live }) => createTimeMs === undefined && live > 0);
  const older = peppers.filter(({ createTimeMs, live, current }) => createTimeMs !== undefined && !current && live > 0);
  const current = peppers.find((pepper) => pepper.current);
  if (current === undefined) return [fail("peppers", "there is none", "restore the database from a backup")];
  return [
    ...lost.map(({ pepperId, live }) =>
      fail(
        "peppers",
        `${live} live secrets are bound to ${pepperId}, which was retired`,
        "rotate or revoke their keys",
      ),
    ),
    ok("peppers", `${current.live} live secrets are bound to the current one, ${sum(older)} to older ones`),
  ];
}

function sum(peppers: readonly Pick<PepperUse, "live">[]): number {
  return peppers.reduce((total, { live }) => total + live, 0);
}

function opens(keys: OpensSecrets, secret: SealedSecret): boolean {
  try {
    keys.open(secret);
    return true;
  } catch (error) {
    if (error instanceof IchorError && error.reason === "SECRET_NOT_LOADED") return false;
    throw error;
  }
}

function findingsOf(
  { currentId, has }: OpensSecrets,
  under: ReadonlyMap<string, number>,
  damaged: readonly string[],
): readonly Finding[] {
  const findings: Finding[] = [];
  for (const [id, count] of under) {
    if (!has(id)) {
      const remedy =
        "put that master key back into the file: what depends on these secrets can't be verified or signed";
      findings.push(fail("secrets", `${count} are sealed under master key ${id}, which isn't loaded`, remedy));
    } else if (id !== currentId) {
      const remedy = 'run "ichor secrets rewrap" before that key leaves the file';
      findings.push(warn("secrets", `${count} are sealed under master key ${id}, which isn't the current one`, remedy));
    }
  }
  if (damaged.length > 0) {
    findings.push(fail("secrets", `damaged: ${damaged.join(", ")}`, "restore the database from a backup"));
  }
  if (findings.length > 0) return findings;
  const total = [...under.values()].reduce((sum, count) => sum + count, 0);
  return [ok("secrets", `all ${total} open under master key ${currentId}`)];
}
