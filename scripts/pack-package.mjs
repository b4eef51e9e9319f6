// Packs a package for others: `node scripts/pack-package.mjs verifier <folder>` makes the tarball of services/verifier in
// that folder and prints its path. What it needs of core/, wire/ and gen/ is compiled into it, and nothing else.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const [name, target] = process.argv.slice(2);
const source = join(root, "services", name);
const manifest = JSON.parse(readFileSync(join(source, "package.json"), "utf8"));

const made = mkdtempSync(join(root, ".build-pack-"));
try {
  const entries = Object.values(manifest.exports).map((path) =>
    join(root, path.replace(/^\.\/dist\//, "").replace(/\.js$/, ".ts")),
  );
  const config = {
    extends: join(root, "tsconfig.json"),
    compilerOptions: { noEmit: false, declaration: true, rootDir: root, outDir: join(made, "dist"), types: ["node"] },
    files: entries,
    include: [],
  };
  writeFileSync(join(made, "tsconfig.json"), JSON.stringify(config));
  execFileSync(join(root, "node_modules", ".bin", "tsc"), ["-p", join(made, "tsconfig.json")], { stdio: "inherit" });
  writeFileSync(join(made, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
  cpSync(join(root, "LICENSE"), join(made, "LICENSE"));
  mkdirSync(resolve(target), { recursive: true });
  const output = execFileSync("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", resolve(target)], {
    cwd: made,
    encoding: "utf8",
  });
  process.stdout.write(`${join(resolve(target), output.trim().split("\n").at(-1))}\n`);
} finally {
  rmSync(made, { recursive: true, force: true });
}
