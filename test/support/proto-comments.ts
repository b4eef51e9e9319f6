import { readFileSync } from "node:fs";

const protos = new URL("../../proto/", import.meta.url);

/** The comment above each element that `element` matches, by the element's name (its first group). */
export function commentsOf(protoFile: string, element: RegExp): ReadonlyMap<string, string> {
  const comments = new Map<string, string>();
  let comment: string[] = [];
  for (const line of readFileSync(new URL(protoFile, protos), "utf8").split("\n")) {
    const text = /^\s*\/\/ ?(.*)$/.exec(line)?.[1];
    const name = element.exec(line)?.[1];
    if (text !== undefined) comment.push(text);
    else if (name !== undefined) comments.set(name, comment.join("\n"));
    if (text === undefined) comment = [];
  }
  return comments;
}
