import { connect } from "node:http2";

// Followers of WatchKeySet by hand over node:http2, as many as are asked for, in one process: `open` answers when each
// has had its snapshot, `expect` when each has been told of so many changes. Told by messages of the parent.
const frameHeadBytes = 5;
/** First bytes of the messages: the tag of the event's field. */
const snapshotEnd = 0x22;
const delta = 0x2a;

let followers = 0;
let synced = 0;
let deltas = 0;
let frames = 0;
let wanted = Number.POSITIVE_INFINITY;
let onSynced = () => {};
const sessions = [];

// Goes with who asked for it, however that ends.
process.once("disconnect", () => process.exit());
process.on("message", async ({ ask, ...question }) => {
  process.send(await { open, expect, close }[ask](question));
});

/** Opens `connections` × `streams` at most `atOnce` at a time. */
async function open({ port, path, headers, connections, streams, atOnce = 100 }) {
  for (let i = 0; i < connections; i++) {
    const session = connect(`http://127.0.0.1:${port}`);
    session.on("error", fail);
    sessions.push(session);
    for (let j = 0; j < streams; j++) {
      follow(session.request({ ":method": "POST", ":path": path, te: "trailers", ...headers }));
      followers++;
      while (followers - synced >= atOnce) await nextSynced();
    }
  }
  while (synced < followers) await nextSynced();
  return { followers };
}

function nextSynced() {
  return new Promise((resolve) => {
    onSynced = resolve;
  });
}

/** Answers when `events` changes have come to every follower: when, by the clock that processes share, and in how many frames. */
function expect({ events }) {
  deltas = 0;
  frames = 0;
  wanted = events * followers;
  // Before anything is published.
  process.send("ready");
  return new Promise((resolve) => {
    onDone = resolve;
  });
}
let onDone = () => {};

function close() {
  for (const session of sessions.splice(0)) session.destroy();
  followers = 0;
  synced = 0;
  return true;
}

function follow(stream) {
  let left = 0;
  let head = Buffer.alloc(0);
  stream.on("data", (chunk) => {
    let bytes = head.length > 0 ? Buffer.concat([head, chunk]) : chunk;
    head = Buffer.alloc(0);
    while (bytes.length > 0) {
      if (left > 0) {
        const taken = Math.min(left, bytes.length);
        left -= taken;
        bytes = bytes.subarray(taken);
        continue;
      }
      if (bytes.length <= frameHeadBytes) {
        head = bytes;
        return;
      }
      left = bytes.readUInt32BE(1);
      told(bytes[frameHeadBytes]);
      bytes = bytes.subarray(frameHeadBytes);
    }
  });
  stream.on("error", fail);
  stream.on("trailers", (trailers) => fail(`a stream ended: ${JSON.stringify(trailers)}`));
  // An empty request.
  stream.end(Buffer.alloc(frameHeadBytes));
}

function told(tag) {
  frames++;
  if (tag === snapshotEnd) {
    synced++;
    onSynced();
  } else if (tag === delta && ++deltas === wanted) {
    wanted = Number.POSITIVE_INFINITY;
    onDone({ atMs: nowMs(), frames });
  }
}

function nowMs() {
  return Number(process.hrtime.bigint()) / 1e6;
}

function fail(what) {
  if (sessions.length === 0) return;
  process.stderr.write(`streams: ${what}\n`);
  process.exit(1);
}
