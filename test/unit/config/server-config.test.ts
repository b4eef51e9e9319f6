import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ConfigError } from "../../../services/config/config-error.ts";
import { configFileBytesMax } from "../../../services/config/config-file.ts";
import { configSchema } from "../../../services/config/json-schema.ts";
import { reloaded } from "../../../services/config/reload.ts";
import { loadServerConfig, readServerConfig } from "../../../services/config/server-config.ts";
import { type Setting, variableOf } from "../../../services/config/setting.ts";
import { clientSettings, serverSettings } from "../../../services/config/settings.ts";
import { sidecarSettings } from "../../../services/config/sidecar-settings.ts";
import { temporaryFolder } from "../../support/server-process.ts";

const folder = temporaryFolder("config");
afterAll(folder.remove);
const path = join(folder.path, "ichor.yaml");

/** Reads a configuration whose file holds `yaml`, and `env` beside it. */
async function read(yaml: string | Buffer, env: Record<string, string> = {}, mode = 0o600) {
  writeFileSync(path, yaml);
  chmodSync(path, mode);
  return readServerConfig({ ICHOR_CONFIG_FILE: path, ...env });
}

async function faultsOf(yaml: string | Buffer, env: Record<string, string> = {}, mode?: number) {
  const error = await read(yaml, env, mode).catch((thrown: unknown) => thrown);
  if (!(error instanceof ConfigError)) throw new Error("no fault was found");
  return error.faults.map((fault) => fault.replaceAll(path, "FILE"));
}

describe("the server's configuration", () => {
  it("takes the environment over the file, and the file over what holds by itself", async () => {
    const config = await read("listen: 127.0.0.1:1\nlogLevel: warn\nmigrate: off\nreflection: false\n", {
      ICHOR_LISTEN: "127.0.0.1:2",
    });
    expect(config).toMatchObject({ listen: { port: 2 }, logLevel: "warn", migrate: false, reflection: false });
    expect(config).toMatchObject({ wakeUps: true, dataDir: resolve(".ichor"), corsOrigins: [] });
  });

  it("reads lists of the file, and of the environment with commas", async () => {
    const origins = ["https://a.example", "https://b.example:8443"];
    expect((await read(`corsOrigins: [${origins.join(", ")}]`)).corsOrigins).toEqual(origins);
    expect(loadServerConfig({ ICHOR_CORS_ORIGINS: origins.join(",") }).corsOrigins).toEqual(origins);
  });

  it("takes an empty variable, an empty file and a name without value as not set", async () => {
    expect((await read("", { ICHOR_LOG_LEVEL: "" })).logLevel).toBe("info");
    expect((await read("logLevel:\n")).logLevel).toBe("info");
  });

  it("tells all faults of environment and file at once, with where they are, and none of their values", async () => {
    const faults = await faultsOf(
      [
        "listen: 8420",
        "logLevel: loud",
        "loglevel: info",
        "migrate: maybe",
        "corsOrigins: [https://a.example/path]",
        "tlsCertFile: cert.pem",
      ].join("\n"),
      { ICHOR_WAKE_UPS: "yes", ICHOR_LOG_LEVEL: "warn", ICHOR_MASTER_KEY: "c2VjcmV0" },
    );
    expect(faults).toEqual([
      "ICHOR_MASTER_KEY is not a setting of this version",
      "FILE: loglevel is not a setting of this version",
      "FILE: listen must be a text",
      "FILE: migrate must be on or off",
      "ICHOR_WAKE_UPS must be on or off",
      expect.stringMatching(/^FILE: corsOrigins has an item 1 that must be an origin, /),
      expect.stringMatching(/^FILE: logLevel must be one of /),
      "ICHOR_TLS_CERT_FILE and ICHOR_TLS_KEY_FILE go together",
    ]);
  });

  it.each([
    ["10.0.0.1", "must be a network in CIDR notation"],
    ["0.0.0.0/0", "must not be every address"],
    ["10.0.0.0/8,::/0", "has an item 2 that must not be every address"],
  ])("refuses to trust %s as proxies", (text, fault) => {
    expect(() => loadServerConfig({ ICHOR_TRUSTED_PROXIES: text })).toThrow(fault);
  });

  it.each([
    ["a name that stands twice", "migrate: on\nmigrate: off\n", /has a fault in line 2: Map keys must be unique/],
    ["no YAML", "a: [b\n", /has a fault in line \d: /],
    ["a list", "- a\n", /must hold `setting: value` lines/],
    ["a text", "listen\n", /must hold `setting: value` lines/],
    ["two documents", "migrate: on\n---\nmigrate: off\n", /has a fault in line \d: /],
    ["an alias", "dataDir: &a x\nlisten: *a\n", /has an alias in line 2/],
    ["a tag", "dataDir: !secret x\n", /has a fault in line 1: Unresolved tag/],
    ["a name that is no text", "1: x\n", /has a name that is no text in line 1/],
    ["names of an object's own", "__proto__: x\nconstructor: x\n", /__proto__ is not a setting/],
    ["too much", Buffer.alloc(configFileBytesMax + 1, "#"), /has more than 64 KiB/],
    ["a long alias bomb", "a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n", /has an alias in line 2/],
  ])("refuses a file with %s", async (_what, yaml, fault) => {
    expect(await faultsOf(yaml)).toEqual(expect.arrayContaining([expect.stringMatching(fault)]));
  });

  it("refuses a file that isn't there, and what is no file", async () => {
    const missing = join(folder.path, "missing.yaml");
    await expect(readServerConfig({ ICHOR_CONFIG_FILE: missing })).rejects.toThrow(
      /missing\.yaml can't be read \(ENOENT\)/,
    );
    mkdirSync(join(folder.path, "folder"), { recursive: true });
    const aFolder = readServerConfig({ ICHOR_CONFIG_FILE: join(folder.path, "folder") });
    await expect(aFolder).rejects.toThrow(/is no regular file/);
  });

  it("refuses a file with a password that others can read, and never tells the password", async () => {
    const yaml = "databaseUrl: postgresql://u:hunter2@db/ichor\nmasterKeyFile: k\n";
    expect((await read(yaml)).databaseUrl).toContain("hunter2");
    const faults = await faultsOf(yaml, {}, 0o644);
    expect(faults).toEqual(["the configuration file FILE has mode 0644, and a URL with a password: chmod o-rwx"]);
    expect(
      (await read("databaseUrl: postgresql://u@db/ichor\nmasterKeyFile: k\n", {}, 0o644)).databaseUrl,
    ).toBeDefined();
  });
});

describe("settings", () => {
  it("have one name, from which the variable's follows, each its own", () => {
    const all = [serverSettings, clientSettings, sidecarSettings].flatMap((table) =>
      Object.entries<Setting<unknown>>(table),
    );
    // A standard's variable is the same for both processes.
    const own = all.map(([name, setting]) => variableOf(name, setting)).filter((name) => name.startsWith("ICHOR_"));
    expect(own.length).toBeGreaterThan(40);
    expect(new Set(own).size).toBe(own.length);
    expect(variableOf("tlsCertFile")).toBe("ICHOR_TLS_CERT_FILE");
  });

  it("that a reload may change have their own name in the configuration, which a reload relies on", () => {
    const config = loadServerConfig({});
    const live = Object.entries<Setting<unknown>>(serverSettings).filter(([, { reload }]) => reload);
    expect(live.length).toBeGreaterThan(0);
    expect(live.filter(([name]) => !(name in config))).toEqual([]);
  });

  it.each([
    ["config.schema.json", "Ichor's configuration file", serverSettings],
    ["sidecar.schema.json", "Configuration file of Ichor's side-car", sidecarSettings],
  ])("are all in the JSON Schema that is shipped, %s, and nothing else is", (file, title, settings) => {
    const schema = configSchema(title, settings);
    expect(Object.keys(schema.properties as object)).toEqual(Object.keys(settings));
    expect(schema.additionalProperties).toBe(false);
    expect(JSON.parse(readFileSync(join("docs/reference", file), "utf8"))).toEqual(schema);
  });
});

describe("a reload", () => {
  it("applies what can be, keeps the rest and names it", () => {
    const running = loadServerConfig({ ICHOR_LOG_LEVEL: "info", ICHOR_LISTEN: "127.0.0.1:1" });
    const read = loadServerConfig({
      ICHOR_LOG_LEVEL: "warn",
      ICHOR_LISTEN: "127.0.0.1:2",
      ICHOR_CORS_ORIGINS: "https://a.example",
    });
    const { config, applied, needRestart } = reloaded(serverSettings, running, read);
    expect(config).toMatchObject({ logLevel: "warn", corsOrigins: ["https://a.example"], listen: { port: 1 } });
    expect([...applied].sort()).toEqual(["corsOrigins", "logLevel"]);
    expect(needRestart).toEqual(["listen"]);
    expect(reloaded(serverSettings, config, read)).toMatchObject({ applied: [], needRestart: ["listen"] });
  });
});
