import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "./free-port.ts";
import { plainEnvironment } from "./server-process.ts";

/** A real gateway with the configuration of docs/examples/gateways, on ports of the test's. */
export interface Gateway {
  readonly url: string;
  stop(): Promise<void>;
}

/** Where it finds what is behind it, as `127.0.0.1:1234`. */
export interface Behind {
  readonly sidecar: string;
  readonly service: string;
}

/** Starts a gateway from its program, with an example of that name. */
export type StartGateway = (program: string, folder: string, behind: Behind, example?: string) => Promise<Gateway>;

/** nginx, in one process. */
export const startNginx: StartGateway = async (program, folder, behind, example = "nginx.conf") => {
  const place = `127.0.0.1:${await freePort()}`;
  const own = mkdtempSync(join(folder, "nginx-"));
  writeFileSync(join(own, "api.conf"), exampleOf(example, place, behind));
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${name};`);
  const main = join(own, "main.conf");
  writeFileSync(
    main,
    `daemon off; master_process off; pid nginx.pid; error_log stderr; events {}
     http { access_log off; ${temporary.join(" ")} include ${join(own, "api.conf")}; }`,
  );
  return started(program, ["-e", "stderr", "-p", own, "-c", main], folder, `http://${place}`);
};

/** Caddy. */
export const startCaddy: StartGateway = async (program, folder, behind, example = "Caddyfile") => {
  const place = `127.0.0.1:${await freePort()}`;
  const own = join(mkdtempSync(join(folder, "caddy-")), "Caddyfile");
  const global = "{\n\tadmin off\n\tauto_https off\n}\n";
  writeFileSync(own, global + exampleOf(example, place, behind));
  return started(program, ["run", "--config", own, "--adapter", "caddyfile"], folder, `http://${place}`);
};

function exampleOf(name: string, place: string, { sidecar, service }: Behind): string {
  const text = readFileSync(new URL(`../../docs/examples/gateways/${name}`, import.meta.url), "utf8");
  return text
    .replaceAll("127.0.0.1:8080", place)
    .replaceAll("127.0.0.1:8421", sidecar)
    .replaceAll("127.0.0.1:9000", service);
}

async function started(program: string, args: readonly string[], folder: string, url: string): Promise<Gateway> {
  const env = { ...plainEnvironment(), HOME: folder, XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder };
  const child = spawn(program, args, { cwd: folder, env, stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (data) => {
    said += data;
  });
  const ended = new Promise<void>((resolve) => child.once("close", () => resolve()));
  await answering(url, child, () => said);
  return {
    url,
    stop() {
      child.kill("SIGTERM");
      return ended;
    },
  };
}

/** Resolves once something answers there; rejects if the process has ended. */
async function answering(url: string, child: ChildProcess, said: () => string): Promise<void> {
  for (;;) {
    if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}: ${said()}`);
    try {
      await (await fetch(url)).text();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
