import type { Command, Option } from "commander";
import type { CliIo } from "./io.ts";

const shells = ["bash", "zsh", "fish"] as const;
type Shell = (typeof shells)[number];

/** Adds `completion <shell>`; last, since it tells the commands that are there. */
export function addCompletionCommand(program: Command, io: CliIo): void {
  program
    .command("completion")
    .description('print what completes command lines of a shell, as for `eval "$(ichor completion bash)"`')
    .argument("<shell>", shells.join(", "))
    .action((shell: string) => {
      const known = shells.find((one) => one === shell);
      if (known === undefined)
        program.error(`error: no completion for ${shell}: ${shells.join(", ")}`, { exitCode: 2 });
      io.stdout.write(scripts[known](linesOf(program)));
    });
}

/** What may follow some words: the words, and what may come next. */
interface Line {
  readonly words: string;
  readonly next: readonly string[];
}

function linesOf(command: Command, words: readonly string[] = []): readonly Line[] {
  const commands = command.commands.map((each) => each.name());
  const options = command.options
    .filter((option: Option) => !option.hidden)
    .map(({ long, short }) => long ?? short ?? "");
  return [
    { words: words.join(" "), next: [...commands, ...options, "--help"] },
    ...command.commands.flatMap((each) => linesOf(each, [...words, each.name()])),
  ];
}

// Each finds the commands among the words before the cursor, and offers what may follow them; file names otherwise.
const scripts: Record<Shell, (lines: readonly Line[]) => string> = {
  bash: (lines) => `_ichor() {
  local word path="" current=\${COMP_WORDS[COMP_CWORD]} next
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path \${word}" in
${commandsIn(lines, (words) => `      " ${words}"|"${words}") path="${words}" ;;`)}
    esac
  done
  case "$path" in
${lines.map(({ words, next }) => `    "${words}") next="${next.join(" ")}" ;;`).join("\n")}
  esac
  COMPREPLY=($(compgen -W "$next" -- "$current"))
}
complete -o default -F _ichor ichor
`,
  zsh: (lines) => `#compdef ichor
_ichor() {
  local word path_=""
  for word in "\${words[@]:1:CURRENT-2}"; do
    case "$path_ \${word}" in
${commandsIn(lines, (words) => `      " ${words}"|"${words}") path_="${words}" ;;`)}
    esac
  done
  case "$path_" in
${lines.map(({ words, next }) => `    "${words}") compadd -- ${next.join(" ")} ;;`).join("\n")}
  esac
  _files
}
compdef _ichor ichor
`,
  fish: (lines) =>
    lines
      .map(({ words, next }) => {
        const seen = words.split(" ").filter(Boolean);
        const deeper = lines.filter(
          (line) => line.words.startsWith(words) && line.words.split(" ").length === seen.length + 1,
        );
        const others = deeper.map((line) => line.words.split(" ").at(-1)).filter(Boolean);
        const here = [
          ...seen.map((word) => `__fish_seen_subcommand_from ${word}`),
          ...(others.length > 0 ? [`not __fish_seen_subcommand_from ${others.join(" ")}`] : []),
        ].join("; and ");
        return `complete -c ichor -n '${here || "true"}' -a '${next.join(" ")}'\n`;
      })
      .join(""),
};

function commandsIn(lines: readonly Line[], render: (words: string) => string): string {
  return lines
    .filter(({ words }) => words !== "")
    .map(({ words }) => render(words))
    .join("\n");
}
