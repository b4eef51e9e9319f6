import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  type HeaderValue,
  type HeaderValueOptionSchema,
  HeaderValueOption_HeaderAppendAction as WhenThere,
} from "../../gen/envoy/config/core/v3/base_pb.ts";
import type {
  AttributeContext,
  AttributeContext_HttpRequest,
} from "../../gen/envoy/service/auth/v3/attribute_context_pb.ts";
import { Authorization, type CheckResponseSchema } from "../../gen/envoy/service/auth/v3/external_auth_pb.ts";
import { IchorError } from "../core/errors.ts";
import { type Registration, scopedService } from "../rpc/method-registry.ts";
import type { AnswerGateway, GatewayAnswer } from "./gateway.ts";
import { isPrincipalHeader } from "./principal-headers.ts";

type CheckResponse = MessageInitShape<typeof CheckResponseSchema>;
type HeaderOption = MessageInitShape<typeof HeaderValueOptionSchema>;

/** What Envoy's statistics count an answer under; the client gets the status of HTTP. */
const codes: Readonly<Record<Exclude<GatewayAnswer["status"], 200>, Code>> = {
  400: Code.InvalidArgument,
  401: Code.Unauthenticated,
  403: Code.PermissionDenied,
  429: Code.ResourceExhausted,
  500: Code.Internal,
  503: Code.Unavailable,
};

/**
 * Answers Envoy's filter `ext_authz` by gRPC, as `/v1/forward-auth` answers others. What the route needs stands in its
 * `context_extensions`, in place of the query. "Can't tell" is a denial with status 503 and no error of the call, which
 * Envoy may be configured to let pass.
 */
export function extAuthz(answer: AnswerGateway): Registration {
  return scopedService(Authorization, {
    async check({ attributes }) {
      const http = attributes?.request?.http;
      if (attributes === undefined || http === undefined) {
        throw new IchorError("INVALID_FIELD", "attributes.request.http must be set: only HTTP is decided about");
      }
      const rawHeaders = headersOf(http);
      const { method, host, path: target } = http;
      const answered = await answer({
        door: "ext_authz",
        rawHeaders,
        clientIp: clientIpOf(attributes),
        askedFor: () => ({ method, host, target }),
        settings: Object.entries(attributes.contextExtensions),
      });
      return answered.status === 200 ? passed(answered, rawHeaders) : denied(answered.status, answered);
    },
  });
}

/** Names and values by turns, without HTTP/2's own. */
function headersOf({ headers, headerMap }: AttributeContext_HttpRequest): readonly string[] {
  const joined = Object.entries(headers);
  const raw = (headerMap?.headers ?? []).map(({ key, value, rawValue }) => [key, value || textOf(rawValue)] as const);
  if (joined.length > 0 && raw.length > 0) {
    throw new IchorError("INVALID_FIELD", "attributes.request.http has both headers and header_map");
  }
  return [...joined, ...raw].filter(([name]) => !name.startsWith(":")).flat();
}

/** As Node gives headers: one character a byte. */
function textOf(value: HeaderValue["rawValue"]): string {
  return Buffer.from(value).toString("latin1");
}

function clientIpOf({ source }: AttributeContext): string {
  const address = source?.address?.address;
  return address?.case === "socketAddress" ? address.value.address : "";
}

/**
 * The service gets the headers that say who called; what the client sent under such names, and the credential, goes.
 * No name is both set and removed, since versions of Envoy differ in what they do first.
 */
function passed({ toService = {}, toClient = {} }: GatewayAnswer, rawHeaders: readonly string[]): CheckResponse {
  const set = Object.fromEntries(Object.entries(toService).filter(([, value]) => value !== ""));
  const sent = rawHeaders.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
  const gone = new Set([...Object.keys(toService), ...sent.filter(isPrincipalHeader)]);
  return {
    status: { code: 0 },
    httpResponse: {
      case: "okResponse",
      value: {
        headers: optionsOf(set),
        headersToRemove: [...gone].filter((name) => !(name in set)),
        responseHeadersToAdd: optionsOf(toClient),
      },
    },
  };
}

function denied(status: Exclude<GatewayAnswer["status"], 200>, { code, toClient = {} }: GatewayAnswer): CheckResponse {
  const headers = optionsOf({ ...toClient, "content-type": "application/json", "cache-control": "no-store" });
  return {
    status: { code: codes[status], message: code },
    httpResponse: {
      case: "deniedResponse",
      value: { status: { code: status }, headers, body: JSON.stringify({ code }) },
    },
  };
}

/** Overwriting, said in the words of every version of Envoy: the new word's default is to append, the old one's to overwrite. */
function optionsOf(headers: Readonly<Record<string, string>>): HeaderOption[] {
  return Object.entries(headers).map(([key, value]) => ({
    header: { key, value },
    append: false,
    appendAction: WhenThere.OVERWRITE_IF_EXISTS_OR_ADD,
  }));
}
