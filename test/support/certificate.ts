import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface CertificateFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

/** Makes a self-signed certificate for localhost and 127.0.0.1, and its key, as PEM files in `folder`. */
export function makeCertificate(folder: string): CertificateFiles {
  return selfSigned(folder, {
    name: "",
    subject: "/CN=localhost",
    extensions: ["subjectAltName=DNS:localhost,IP:127.0.0.1"],
  });
}

/** An authority that signs client certificates. */
export interface Authority extends CertificateFiles {
  /** Makes a client's certificate with these subject alternative names, and gives it and its key in PEM. */
  issue(name: string, options: ClientOptions): { readonly cert: Buffer; readonly key: Buffer };
}

export interface ClientOptions {
  /** As `URI:spiffe://…` and `DNS:…`. */
  readonly names: readonly string[];
  /** Whether it has ended already. */
  readonly expired?: boolean;
  /** What it is for; default: clients. */
  readonly usage?: "clientAuth" | "serverAuth";
}

/** Makes an authority in `folder`. */
export function makeAuthority(folder: string, name: string): Authority {
  const files = selfSigned(folder, {
    name: `${name}-`,
    subject: `/CN=${name}`,
    extensions: ["basicConstraints=critical,CA:TRUE"],
  });
  return {
    ...files,
    issue(client, { names, expired = false, usage = "clientAuth" }) {
      const path = (suffix: string) => join(folder, `${name}-${client}.${suffix}`);
      const entries = names.map((each, i) => each.replace(":", `.${i} = `));
      writeFileSync(
        path("ext"),
        ["subjectAltName=@names", `extendedKeyUsage=${usage}`, "[names]", ...entries].join("\n"),
      );
      openssl(
        "req",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-subj",
        `/CN=${client}`,
        "-keyout",
        path("key"),
        "-out",
        path("csr"),
      );
      openssl(
        "x509",
        "-req",
        "-in",
        path("csr"),
        "-CA",
        files.certFile,
        "-CAkey",
        files.keyFile,
        "-CAcreateserial",
        "-days",
        expired ? "-1" : "2",
        "-extfile",
        path("ext"),
        "-out",
        path("pem"),
      );
      return { cert: readFileSync(path("pem")), key: readFileSync(path("key")) };
    },
  };
}

function selfSigned(
  folder: string,
  { name, subject, extensions }: { name: string; subject: string; extensions: readonly string[] },
): CertificateFiles {
  const certFile = join(folder, `${name}cert.pem`);
  const keyFile = join(folder, `${name}key.pem`);
  const added = extensions.flatMap((extension) => ["-addext", extension]);
  // biome-ignore format: one option a line would hide the command.
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
    "-subj", subject, ...added, "-keyout", keyFile, "-out", certFile);
  return { certFile, keyFile };
}

function openssl(...args: readonly string[]): void {
  execFileSync("openssl", args, { stdio: "ignore" });
}
