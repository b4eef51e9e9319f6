import type { TLSSocket } from "node:tls";
import { certify } from "../rpc/certified-peer.ts";

/**
 * Notes on a connection whom its client certificate names; false if it has shown one that isn't good. One that has shown
 * none passes: a listener that asks for one ends the handshake itself.
 */
export function certifyClient(socket: TLSSocket): boolean {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return true;
  if (!socket.authorized) return false;
  const { subjectAltName = "", validTo } = certificate;
  certify(socket, { names: namesOf(subjectAltName), endMs: Date.parse(validTo) });
  return true;
}

/**
 * The names in Node's text of them. A name with a comma, a quote or a control character stands in quotes there, so that
 * it can't look like several; such a one is left out.
 */
function namesOf(subjectAltName: string): readonly string[] {
  return subjectAltName.split(", ").filter((name) => /^(URI|DNS):[!#-~]+$/.test(name));
}
