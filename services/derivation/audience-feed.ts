import type { Change } from "../core/change.ts";
import type { TenantId } from "../core/ids.ts";
import { Feed, type Position } from "../core/key-set/feed.ts";
import { emptyDelta } from "../core/key-set/key-set-delta.ts";
import { KeySetState } from "../core/key-set/key-set-state.ts";
import type { Keyring } from "../keyring/keyring.ts";

export interface AudienceFeedDeps {
  readonly keyring: Pick<Keyring, "forTenant">;
  /** Where the log is followed to: whatever the keyring then gives knows that much. */
  readonly position: () => Position;
  /** Ms since the epoch. */
  readonly now: () => number;
  readonly log: { error(fields: object, message: string): void };
}

/**
 * The root keys of one audience's macaroons, read of the keyring again whenever the log says that they changed. While
 * that is under way the feed isn't advanced, so that no heartbeat claims what isn't told yet.
 */
export class AudienceFeed extends Feed {
  readonly #deps: AudienceFeedDeps;
  readonly #tenantId: TenantId;
  readonly #audience: string;
  #refreshes = 0;

  /** Empty until it is loaded; it must be told of changes from the start. */
  constructor(deps: AudienceFeedDeps, tenantId: TenantId, audience: string) {
    super(new KeySetState(0), deps.position());
    this.#deps = deps;
    this.#tenantId = tenantId;
    this.#audience = audience;
  }

  /** Rejects with SECRET_NOT_LOADED, STORE_UNAVAILABLE. */
  load(): Promise<void> {
    return this.#read();
  }

  override advance(to: Position): void {
    if (this.#refreshes === 0) super.advance(to);
  }

  /** Takes a change of the log; undefined: the history is another one. */
  take(change: Change | undefined): void {
    if (change === undefined) {
      this.reset();
      return;
    }
    const concerns =
      change.kind === "audience_key"
        ? change.tenantId === this.#tenantId && change.audience === this.#audience
        : change.kind === "secret";
    if (!concerns) return;
    this.#refreshes++;
    // Once the tail has come past the change, which it tells before it moves.
    setImmediate(() => {
      this.#read()
        .catch((err: unknown) => {
          this.#deps.log.error(
            { err, audience: this.#audience },
            "audience keys can't be read: their feed begins anew",
          );
          this.reset();
        })
        .finally(() => {
          this.#refreshes--;
        });
    });
  }

  async #read(): Promise<void> {
    const { keyring, position, now } = this.#deps;
    const at = position();
    const keys = await keyring.forTenant(this.#tenantId);
    const audienceKeys = keys.audienceKeys(this.#audience, now());
    if (at.revision < this.position.revision) return;
    this.change({ ...emptyDelta, audienceKeys }, at);
  }
}
