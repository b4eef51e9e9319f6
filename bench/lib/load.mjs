import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Starts a load generator that goes on until it is killed. */
export function forkLoad(name) {
  return fork(fileURLToPath(new URL(`../load/${name}.mjs`, import.meta.url)));
}

/** The next message of a process; rejects if it ends first. */
export function nextMessage(child) {
  return new Promise((resolve, reject) => {
    const onExit = (status) => reject(new Error(`a load generator ended with ${status}`));
    child.once("exit", onExit);
    child.once("message", (message) => {
      child.off("exit", onExit);
      resolve(message);
    });
  });
}

/** Sends a message and gives the next one of the other side. */
export function question(child, message) {
  const answer = nextMessage(child);
  child.send(message);
  return answer;
}
