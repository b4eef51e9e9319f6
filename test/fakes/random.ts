import { createHash } from "node:crypto";

/** Random bytes that differ from call to call and are the same in each run. */
export function seededRandom(seed = "seed"): (size: number) => Uint8Array {
  let count = 0;
  return (size) => {
    const blocks: Buffer[] = [];
    for (let length = 0; length < size; length += 32) {
      blocks.push(createHash("sha256").update(`${seed}/${count++}`).digest());
    }
    return new Uint8Array(Buffer.concat(blocks).subarray(0, size));
  };
}
