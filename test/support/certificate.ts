import { execFileSync } from "node:child_process";
import { join } from "node:path";

/** Makes a self-signed certificate for localhost and 127.0.0.1, and its key, as PEM files in `folder`. */
export function makeCertificate(folder: string): { readonly certFile: string; readonly keyFile: string } {
  const certFile = join(folder, "cert.pem");
  const keyFile = join(folder, "key.pem");
  // biome-ignore format: one option a line would hide the command.
  execFileSync("openssl", [
    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
    "-keyout", keyFile, "-out", certFile,
  ], { stdio: "ignore" });
  return { certFile, keyFile };
}
