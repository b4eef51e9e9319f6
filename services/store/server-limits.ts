// What bounds the work with a database server, in ms. A server that answers keeps its own bounds; those of the sockets
// are for one that doesn't.

/** Longest wait for a free connection, making one included. */
export const connectMsMax = 3_000;
/** Longest that the server may work on one statement. */
export const statementMsMax = 10_000;
/** Longest silence of a connection that is in use; then it is taken for dead. */
export const silenceMsMax = 15_000;
/** Longest that a connection without use is kept. */
export const idleMsMax = 10_000;
/** Mutating transactions of this process at once: one commits while the next waits for the head row. */
export const revisionLanes = 2;
