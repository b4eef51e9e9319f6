/** How long a repeat of a call gets the same answer, credential included, in ms. */
export const answerLifetimeMs = 3_600_000;
/** How long a repeat is known as one, in ms. */
export const recordLifetimeMs = 24 * 3_600_000;
