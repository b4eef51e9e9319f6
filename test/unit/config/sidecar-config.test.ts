import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { ConfigError } from "../../../services/config/config-error.ts";
import { flagOf, type Setting, variableOf } from "../../../services/config/setting.ts";
import { readSidecarConfig } from "../../../services/config/sidecar-config.ts";
import { sidecarSettings } from "../../../services/config/sidecar-settings.ts";
import { temporaryFolder } from "../../support/server-process.ts";

const folder = temporaryFolder("sidecar-config");
afterAll(folder.remove);
const file = join(folder.path, "sidecar.yaml");
const credentialFile = join(folder.path, "sidecar.key");
const needed = { upstream: "https://keys.example", credentialFile };

beforeEach(() => {
  writeFileSync(credentialFile, "ichor_sk_x\n", { mode: 0o600 });
  chmodSync(credentialFile, 0o600);
  writeFileSync(file, "");
});

async function faultsOf(flags: Record<string, string>, env: Record<string, string> = {}) {
  const error = await readSidecarConfig({ flags, env }).catch((thrown: unknown) => thrown);
  if (!(error instanceof ConfigError)) throw new Error("no fault was found");
  return error.faults.map((fault) => fault.replaceAll(file, "FILE").replaceAll(credentialFile, "KEY"));
}

describe("the side-car's configuration", () => {
  it("takes flags over the environment, that over the file, and the file over what holds by itself", async () => {
    writeFileSync(file, "maxStaleness: 1m\naudience: file\nlisten: 127.0.0.1:1\nclientIpHeader: X-Real-IP\n");
    const env = { ICHOR_CONFIG_FILE: file, ICHOR_SIDECAR_AUDIENCE: "env", ICHOR_SIDECAR_LISTEN: "127.0.0.1:2" };
    expect(await readSidecarConfig({ flags: { ...needed, listen: "unix:/run/s.sock" }, env })).toMatchObject({
      ...{ upstream: needed.upstream, credential: "ichor_sk_x", maxStaleness: 60, audience: "env" },
      ...{ listen: { path: "/run/s.sock" }, clientIpHeader: "x-real-ip", logLevel: "info" },
    });
  });

  it("can stand in a file or in the environment alone", async () => {
    writeFileSync(file, `upstream: https://keys.example/\ncredentialFile: ${credentialFile}\n`);
    expect(await readSidecarConfig({ env: { ICHOR_CONFIG_FILE: file } })).toMatchObject({
      ...{ upstream: "https://keys.example", credential: "ichor_sk_x", maxStaleness: 30 },
      listen: { host: "127.0.0.1", port: 8421 },
    });
    const env = { ICHOR_SIDECAR_UPSTREAM: "https://a.example", ICHOR_SIDECAR_CREDENTIAL_FILE: credentialFile };
    expect(await readSidecarConfig({ env })).toMatchObject({ upstream: "https://a.example" });
  });

  it("tells all faults of flags, environment, file and credential at once, and none of their values", async () => {
    writeFileSync(file, "databaseUrl: file:x\nmaxStaleness: 2d\ncredential: ichor_sk_x\n");
    chmodSync(credentialFile, 0o644);
    const faults = await faultsOf(
      { credentialFile, listen: "0.0.0.0:8421", audience: "two words" },
      { ICHOR_CONFIG_FILE: file, ICHOR_SIDECAR_CREDENTIAL: "hunter2", ICHOR_SIDECAR_ALLOW_REMOTE: "yes" },
    );
    expect(faults).toEqual([
      "ICHOR_SIDECAR_CREDENTIAL is not a setting of this version",
      "FILE: databaseUrl is not a setting of this version",
      "FILE: credential is not a setting of this version",
      "--upstream is needed, or ICHOR_SIDECAR_UPSTREAM, or upstream in a file",
      expect.stringMatching(/^--audience must be 1-255 characters/),
      "FILE: maxStaleness must be a span as 30s or 5m, up to 1d",
      "ICHOR_SIDECAR_ALLOW_REMOTE must be on or off",
      "the credential file KEY has mode 0644; it must be its owner's only: chmod 600",
      expect.stringMatching(/^0\.0\.0\.0 isn't loopback/),
    ]);
  });

  it.each([
    ["is empty", "", /characters that no credential has/],
    ["has a second line", "ichor_sk_x\nhunter2", /characters that no credential has/],
  ])("refuses a credential file that %s", async (_, content, fault) => {
    writeFileSync(credentialFile, content);
    const faults = await faultsOf(needed);
    expect(faults).toEqual([expect.stringMatching(fault)]);
    expect(faults.join()).not.toContain("hunter2");
  });

  it.each(["0", "0s", "30", "1.5m", "25h", "86401s", "1y", "-1s", "1e3s"])("refuses %s as a span", async (text) => {
    expect(await faultsOf({ ...needed, maxStaleness: text })).toEqual([
      expect.stringMatching(/^--max-staleness must be/),
    ]);
  });

  it.each([
    ["127.8.9.1:1", true],
    ["localhost:1", true],
    ["[::1]:1", true],
    ["unix:/tmp/x", true],
    ["10.0.0.1:1", false],
    ["[::]:1", false],
    ["127.example.com:1", false],
    ["127.1:1", false],
  ])("listens on %s without more words: %s", async (listen, allowed) => {
    const flags = { ...needed, listen };
    if (allowed) expect(await readSidecarConfig({ flags, env: {} })).toBeDefined();
    else expect(await faultsOf(flags)).toEqual([expect.stringContaining("isn't loopback")]);
    expect(await readSidecarConfig({ flags: { ...flags, allowRemote: "on" }, env: {} })).toBeDefined();
  });

  it("has one name for each setting, of which flag and variable follow", () => {
    expect(flagOf("clientIpHeader")).toBe("--client-ip-header");
    expect(variableOf("clientIpHeader", sidecarSettings.clientIpHeader)).toBe("ICHOR_SIDECAR_CLIENT_IP_HEADER");
  });

  it("has the settings that a reload may change under their own names, which a reload relies on", async () => {
    const config = await readSidecarConfig({ flags: needed, env: {} });
    const live = Object.entries<Setting<unknown>>(sidecarSettings).filter(([, { reload }]) => reload);
    expect(live.length).toBeGreaterThan(0);
    expect(live.filter(([name]) => !(name in config))).toEqual([]);
  });

  it("takes feed keys by their thumbprints, and the issuer that they sign for, and neither alone", async () => {
    const feedKeys = ["a".repeat(43), "b".repeat(43)];
    const flags = { ...needed, feedKeys: feedKeys.join(","), issuer: "https://keys.example" };
    expect(await readSidecarConfig({ flags, env: {} })).toMatchObject({ feedKeys, issuer: "https://keys.example" });
    expect(await faultsOf({ ...needed, issuer: flags.issuer })).toEqual(["--feed-keys and --issuer go together"]);
    expect(await faultsOf({ ...needed, feedKeys: flags.feedKeys })).toEqual(["--feed-keys and --issuer go together"]);
    expect(await faultsOf({ ...flags, feedKeys: "short" })).toContainEqual(
      expect.stringMatching(/^--feed-keys has an item 1 that must be a thumbprint/),
    );
  });

  it("takes a place where others may follow, with a certificate of its own", async () => {
    expect((await readSidecarConfig({ flags: needed, env: {} })).relay).toBeUndefined();
    const flags = { ...needed, relayListen: "0.0.0.0:8430", relayTlsCertFile: "/c.pem", relayTlsKeyFile: "/k.pem" };
    expect((await readSidecarConfig({ flags, env: {} })).relay).toEqual({
      listen: { host: "0.0.0.0", port: 8430 },
      tls: { certFile: "/c.pem", keyFile: "/k.pem", clients: undefined },
    });
    expect(await faultsOf({ ...needed, relayListen: "8430", relayTlsCertFile: "/c.pem" })).toHaveLength(3);
  });
});
