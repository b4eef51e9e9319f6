import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureInstalled } from "./ensure-installed.mjs";

// Records proto/ as it is as the released API that `npm run check` holds later changes against. Run it at a release
// only, after the check has passed against the former baseline. (Before the first release there is nobody to break:
// renew it whenever the protos change.)

const root = dirname(dirname(fileURLToPath(import.meta.url)));

await ensureInstalled();
const buf = join(root, "node_modules", ".bin", "buf");
const { status } = spawnSync(buf, ["build", "--exclude-source-info", "-o", "proto/baseline.binpb"], {
  cwd: root,
  stdio: "inherit",
});
process.exitCode = status ?? 1;
