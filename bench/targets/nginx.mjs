import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { listening, tell } from "./tell.mjs";

// nginx alone, in one process, which answers a constant: what a gateway costs that asks nobody.
tell(async ({ answer }) => {
  const folder = process.env.ICHOR_DATA_DIR;
  const port = await freePort();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${name};`);
  const configuration = `daemon off; master_process off; pid nginx.pid; error_log stderr; events {}
    http {
      access_log access.log; keepalive_requests 100000000; ${temporary.join(" ")}
      server {
        listen 127.0.0.1:${port};
        location / { default_type application/json; return 200 '${JSON.stringify(answer)}'; }
      }
    }`;
  writeFileSync(join(folder, "nginx.conf"), configuration);
  const args = ["-e", "stderr", "-p", folder, "-c", join(folder, "nginx.conf")];
  const child = spawn(process.env.BENCH_NGINX ?? "nginx", args, { stdio: ["ignore", "inherit", "inherit"] });
  child.once("error", (error) => {
    throw error;
  });
  process.once("SIGTERM", () => {
    child.kill("SIGTERM");
    process.exit();
  });
  process.once("exit", () => child.kill("SIGTERM"));
  for (;;) {
    if (await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined)) return { port };
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
});

async function freePort() {
  const server = createServer();
  const port = await listening(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
