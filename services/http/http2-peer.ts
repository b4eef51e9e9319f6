import type { ServerHttp2Session, ServerHttp2Stream } from "node:http2";
import { addressOf } from "../rpc/node-handler.ts";

const addresses = new WeakMap<ServerHttp2Session, string>();

/** The peer's address. Asked once per connection: the socket of an HTTP/2 session is a proxy that costs more than the rest of a look-up. */
export function peerAddressOf({ session }: ServerHttp2Stream): string {
  const serverSession = session as ServerHttp2Session | undefined;
  if (serverSession === undefined) return "";
  const address = addresses.get(serverSession) ?? addressOf(serverSession.socket);
  addresses.set(serverSession, address);
  return address;
}

/** Whether the text is a host that surely makes a URL; the odd ones are connect-node's to judge. */
export function isPlainHost(host: string | undefined): boolean {
  return host !== undefined && /^[a-zA-Z0-9.:[\]_-]+$/.test(host);
}
