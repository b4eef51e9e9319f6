import type { KeyEvent } from "../../services/core/change.ts";

// What a key's life is to who only reads the protos: a model to compare the server with. Time stands still in it.

/** A secret that was handed out. */
export interface ModelSecret {
  readonly credential: string;
  readonly live: boolean;
}

export interface ModelKey {
  readonly id: string;
  readonly kind: "issued" | "imported";
  readonly name: string;
  readonly scopes: readonly string[];
  readonly status: "ACTIVE" | "DISABLED" | "REVOKED";
  readonly epoch: bigint;
  /** Newest first. */
  readonly secrets: readonly ModelSecret[];
}

/** All keys by id, and the imported credentials that were revoked and deleted. */
export interface ModelState {
  readonly keys: ReadonlyMap<string, ModelKey>;
  readonly tombstones: ReadonlySet<string>;
}

export type Operation =
  | { readonly do: "issue"; readonly name: string }
  | { readonly do: "import"; readonly name: string; readonly raw: string; readonly allowRevoked: boolean }
  | { readonly do: "rotate"; readonly keyId: string; readonly graceSeconds: number }
  | { readonly do: "update"; readonly keyId: string; readonly name: string; readonly scopes: readonly string[] }
  | { readonly do: "endGrace" | "disable" | "enable" | "revoke" | "delete"; readonly keyId: string };

/** What an answer told that the model can't know: the id of a new key, the new credential. */
export interface Told {
  readonly keyId: string;
  readonly credential: string;
}

/** What an operation does to a state: the next one, the same one if it changes nothing, or why it is refused. */
export type Step = { readonly next: ModelState } | { readonly refused: string };

/** The event that an operation is to the change log if it changes anything. */
export const eventOf: Readonly<Record<Operation["do"], KeyEvent>> = {
  issue: "issued",
  import: "imported",
  rotate: "rotated",
  update: "changed",
  endGrace: "grace_ended",
  disable: "disabled",
  enable: "enabled",
  revoke: "revoked",
  delete: "deleted",
};

export function step(state: ModelState, operation: Operation, told: Told): Step {
  switch (operation.do) {
    case "issue":
      return { next: put(state, newKey("issued", operation.name, told)) };
    case "import":
      return importKey(state, operation, told);
    default: {
      const key = state.keys.get(operation.keyId);
      if (key === undefined) return { refused: "KEY_NOT_FOUND" };
      const changed = change(key, operation, told);
      if (typeof changed === "string") return { refused: changed };
      if (changed === undefined) return { next: without(state, key) };
      return { next: changed === key ? state : put(state, changed) };
    }
  }
}

/** What a credential must verify as. */
export function codeOf(state: ModelState, credential: string): string {
  for (const key of state.keys.values()) {
    const secret = key.secrets.find((one) => one.credential === credential);
    if (secret === undefined) continue;
    if (key.status === "REVOKED" || !secret.live) return "REVOKED";
    return key.status === "DISABLED" ? "DISABLED" : "VALID";
  }
  return "NOT_FOUND";
}

function importKey(
  state: ModelState,
  { name, raw, allowRevoked }: Extract<Operation, { do: "import" }>,
  told: Told,
): Step {
  const there = [...state.keys.values()].some((key) => key.secrets.some(({ credential }) => credential === raw));
  if (there) return { refused: "KEY_ALREADY_EXISTS" };
  if (state.tombstones.has(raw) && !allowRevoked) return { refused: "KEY_WAS_REVOKED" };
  const tombstones = new Set([...state.tombstones].filter((one) => one !== raw));
  return { next: put({ ...state, tombstones }, newKey("imported", name, { ...told, credential: raw })) };
}

type Change = Exclude<Operation, { do: "issue" | "import" }>;

/** The key afterwards; undefined: it is gone; a text: why not. */
function change(key: ModelKey, operation: Change, told: Told): ModelKey | undefined | string {
  if (operation.do === "delete") return key.status === "REVOKED" ? undefined : "KEY_STILL_LIVE";
  if (operation.do === "revoke") return key.status === "REVOKED" ? key : { ...key, status: "REVOKED" };
  if (key.status === "REVOKED") return "KEY_REVOKED";
  switch (operation.do) {
    case "disable":
      return key.status === "DISABLED" ? key : { ...key, status: "DISABLED" };
    case "enable":
      return key.status === "ACTIVE" ? key : { ...key, status: "ACTIVE" };
    case "endGrace": {
      const [newest, ...older] = key.secrets;
      if (newest === undefined || !older.some(({ live }) => live)) return key;
      const ended = older.map((secret) => ({ ...secret, live: false }));
      return { ...key, secrets: [newest, ...ended], epoch: key.epoch + 1n };
    }
    case "rotate": {
      if (key.kind !== "issued") return "KEY_KIND_NOT_ALLOWED";
      const instant = operation.graceSeconds === 0;
      // Those that had ended before are forgotten by the server: their texts are nobody's then.
      const older = key.secrets.filter(({ live }) => live).map((secret) => ({ ...secret, live: !instant }));
      const secrets = [{ credential: told.credential, live: true }, ...older];
      return { ...key, secrets, epoch: key.epoch + (instant ? 1n : 0n) };
    }
    case "update": {
      const { name, scopes } = operation;
      const same = name === key.name && JSON.stringify(scopes) === JSON.stringify(key.scopes);
      if (same) return key;
      const lost = key.scopes.some((scope) => !scopes.includes(scope));
      return { ...key, name, scopes, epoch: key.epoch + (lost ? 1n : 0n) };
    }
  }
}

function newKey(kind: ModelKey["kind"], name: string, { keyId, credential }: Told): ModelKey {
  return {
    id: keyId,
    kind,
    name,
    scopes: ["a", "b"],
    status: "ACTIVE",
    epoch: 0n,
    secrets: [{ credential, live: true }],
  };
}

function put(state: ModelState, key: ModelKey): ModelState {
  return { ...state, keys: new Map([...state.keys, [key.id, key]]) };
}

function without(state: ModelState, gone: ModelKey): ModelState {
  const keys = new Map([...state.keys].filter(([id]) => id !== gone.id));
  const dead = gone.kind === "imported" && gone.status === "REVOKED";
  const tombstones = dead ? gone.secrets.map(({ credential }) => credential) : [];
  return { keys, tombstones: new Set([...state.tombstones, ...tombstones]) };
}
