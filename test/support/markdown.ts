import { readFileSync } from "node:fs";

/** A fenced block of a page. */
export interface CodeBlock {
  readonly language: string;
  readonly text: string;
  /** From a comment `<!-- not run: … -->` right above. */
  readonly notRun: string | undefined;
}

/** The fenced blocks of a Markdown file, in order. */
export function codeBlocksOf(path: string): readonly CodeBlock[] {
  const page = readFileSync(path, "utf8");
  const blocks = page.matchAll(/(?:^<!-- not run: (.+) -->\n)?^```(\w+)\n([\s\S]*?)^```$/gm);
  return [...blocks].map(([, notRun, language = "", text = ""]) => ({ language, text, notRun }));
}

/** The rows of each table of a Markdown file, as trimmed cells; the head is the first row. */
export function tablesOf(path: string): readonly (readonly (readonly string[])[])[] {
  const tables: string[][][] = [];
  let previous = "";
  for (const line of readFileSync(path, "utf8").split("\n")) {
    if (line.startsWith("|") && !/^[|\s-]+$/.test(line)) {
      if (!previous.startsWith("|")) tables.push([]);
      const cells = line.split("|").slice(1, -1);
      tables.at(-1)?.push(cells.map((cell) => cell.trim()));
    }
    previous = line;
  }
  return tables;
}

/** What stands between backticks in a text. */
export function codeSpansOf(text: string): readonly string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, span = ""]) => span);
}
