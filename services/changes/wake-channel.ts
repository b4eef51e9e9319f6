/** How servers of one store tell each other that there is something to see. May lose messages, and may be gone. */
export interface WakeChannel {
  /** Tells the others; rejects if that can't be. */
  publish(message: string): Promise<void>;
  close(): Promise<void>;
}

/** What a channel tells its server. */
export interface WakeListener {
  /** Another server, or this one, published a message. */
  heard(message: string): void;
  /** The channel works from now on: what was said before is unknown. */
  connected(): void;
  /** It doesn't; it keeps trying. Told once until it works again. */
  lost(error: unknown): void;
}

/** Opens a channel for a server. */
export type OpenWakeChannel = (listener: WakeListener) => WakeChannel;
