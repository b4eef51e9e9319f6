import type {
  DescMethod,
  DescMethodBiDiStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  Message,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import { writeVerifyAnswerBytes } from "../wire/verification-binary.ts";
import { readVerifyRequest, writeVerifyAnswer } from "../wire/verification-json.ts";
import { accessTable, type CallerAccess } from "./access.ts";
import type { Carrier, ScopedMethods, Streaming, Unary } from "./call.ts";

const mebibyte = 1024 * 1024;

/** The largest request of a method that isn't named below, in bytes of the message, after decompression. */
export const requestBytesDefault = mebibyte;

/** The largest request that anyone may send: to an open method, or to one about the credential that it is called with. */
export const openRequestBytesMax = 64 * 1024;

const requestBytesMaxOf: Readonly<Record<string, number>> = {
  "ichor.v1.AdminService/BatchImportApiKeys": 32 * mebibyte,
  "ichor.v1.AdminService/LookupCredentials": 16 * mebibyte,
  "ichor.v1.AdminService/BatchVerifyCredentials": 4 * mebibyte,
  "ichor.v1.AdminService/VerifyAuditChain": 8 * mebibyte,
};

/** The codec of one method by hand. What it doesn't surely know, it leaves to protobuf-es by giving undefined. */
export interface QuickCodec {
  readJson(text: string): Message | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: erased here; the answer is that of the method that it stands beside.
  writeJson(answer: any): string | undefined;
  // biome-ignore lint/suspicious/noExplicitAny: likewise.
  writeBytes(answer: any): Uint8Array | undefined;
}

const verificationCodec: QuickCodec = {
  readJson: readVerifyRequest,
  writeJson: writeVerifyAnswer,
  writeBytes: writeVerifyAnswerBytes,
};

/**
 * Unary methods that are called all the time, with small answers: a transport may serve them on a way of its own that
 * compresses nothing.
 */
const hotMethods: Readonly<Record<string, { readonly codec?: QuickCodec }>> = {
  "ichor.v1.AdminService/VerifyCredential": { codec: verificationCodec },
  "ichor.v1.AdminService/BatchVerifyCredentials": {},
  "envoy.service.auth.v3.Authorization/Check": {},
  "ichor.v1.DerivationService/DeriveToken": {},
  "ichor.v1.DerivationService/VerifyToken": { codec: verificationCodec },
};

/** Protobuf JSON as every path reads and writes it: unknown fields are refused, since a misspelt limit is no limit. */
export const jsonOptions = { ignoreUnknownFields: false } as const;

/** A unary method that needs a caller, with all that a transport must know to serve it. */
export interface UnaryMethod<M extends DescMethodUnary = DescMethodUnary> {
  /** Full name, as `ichor.v1.AdminService/IssueApiKey`. */
  readonly name: string;
  readonly desc: M;
  readonly run: Unary<M>;
  /** What its caller must show. */
  readonly access: CallerAccess;
  /** The largest message, in bytes. */
  readonly requestBytesMax: number;
  /** Set if it is called all the time, with small answers. */
  readonly hot?: { readonly codec?: QuickCodec } | undefined;
}

/** A server-streaming method that needs a caller, likewise. */
export interface StreamMethod<M extends DescMethodServerStreaming = DescMethodServerStreaming>
  extends Omit<UnaryMethod, "desc" | "run" | "hot"> {
  readonly desc: M;
  readonly run: Streaming<M>;
}

/** The methods of a service that anyone may call, each under its local name. They see the transport, not a caller. */
export type OpenMethods<S extends DescService> = {
  [K in keyof S["method"]]: OpenMethod<S["method"][K]>;
};

/** An open method: unary, server-streaming or bidirectional. Throws IchorError. */
export type OpenMethod<M extends DescMethod> = M extends DescMethodUnary
  ? (request: MessageShape<M["input"]>, carrier: Carrier) => Promise<MessageInitShape<M["output"]>>
  : M extends DescMethodServerStreaming
    ? (request: MessageShape<M["input"]>, carrier: Carrier) => AsyncIterable<MessageInitShape<M["output"]>>
    : M extends DescMethodBiDiStreaming
      ? (
          requests: AsyncIterable<MessageShape<M["input"]>>,
          carrier: Carrier,
        ) => AsyncIterable<MessageInitShape<M["output"]>>
      : never;

/** An open method, of any shape; the shape is its descriptor's. */
export interface OpenEntry {
  readonly name: string;
  readonly desc: DescMethod;
  // biome-ignore lint/suspicious/noExplicitAny: erased here, checked by OpenMethods where it is registered.
  readonly run: (request: any, carrier: Carrier) => any;
}

/** A service with its methods, ready to be registered. */
export interface Registration {
  readonly service: DescService;
  readonly unary: readonly UnaryMethod[];
  readonly streams: readonly StreamMethod[];
  readonly open: readonly OpenEntry[];
}

/** All that the server offers, independent of any transport. */
export interface MethodRegistry {
  readonly services: readonly DescService[];
  /** By full name. */
  readonly unary: ReadonlyMap<string, UnaryMethod>;
  readonly streams: readonly StreamMethod[];
  readonly open: readonly OpenEntry[];
}

/**
 * Registers a service whose methods need a caller, unary or server-streaming. Throws TypeError for a method that the
 * access table doesn't name, or that it opens to anyone.
 */
export function scopedService<S extends DescService>(service: S, methods: ScopedMethods<S>): Registration {
  return scopedMethods(service, service.methods, methods);
}

/** Registers those methods of a service that are given, and no others: of a process that serves a part. Throws likewise. */
export function partOfService<S extends DescService>(service: S, methods: Partial<ScopedMethods<S>>): Registration {
  const served = service.methods.filter(({ localName }) => localName in methods);
  return scopedMethods(service, served, methods);
}

function scopedMethods(service: DescService, served: readonly DescMethod[], methods: object): Registration {
  const unary: UnaryMethod[] = [];
  const streams: StreamMethod[] = [];
  for (const desc of served) {
    const name = fullMethodName(desc);
    const access = accessTable[name];
    if (access === undefined || "open" in access) throw new TypeError(`${name} needs a caller in the access table`);
    const requestBytesMax = "holder" in access ? openRequestBytesMax : (requestBytesMaxOf[name] ?? requestBytesDefault);
    const facts = { name, access, requestBytesMax };
    const run = methodNamed(methods, desc);
    if (isUnary(desc)) unary.push({ ...facts, desc, run: run as Unary, hot: hotMethods[name] });
    else if (isServerStreaming(desc)) streams.push({ ...facts, desc, run: run as Streaming });
    else throw new TypeError(`${name} takes a stream of requests`);
  }
  return { service, unary, streams, open: [] };
}

/** Registers a service that anyone may call. Throws TypeError for a method that the access table doesn't open. */
export function openService<S extends DescService>(service: S, methods: OpenMethods<S>): Registration {
  const open = service.methods.map((desc): OpenEntry => {
    const name = fullMethodName(desc);
    const access = accessTable[name];
    if (access === undefined || !("open" in access)) throw new TypeError(`${name} isn't open in the access table`);
    return { name, desc, run: methodNamed(methods, desc) as OpenEntry["run"] };
  });
  return { service, unary: [], streams: [], open };
}

/** Collects the services. Throws TypeError if one is there twice. */
export function createMethodRegistry(registrations: readonly Registration[]): MethodRegistry {
  const services = registrations.map(({ service }) => service);
  const names = new Set(services.map(({ typeName }) => typeName));
  if (names.size !== services.length) throw new TypeError("a service is registered twice");
  return {
    services,
    unary: new Map(registrations.flatMap(({ unary }) => unary).map((method) => [method.name, method])),
    streams: registrations.flatMap(({ streams }) => streams),
    open: registrations.flatMap(({ open }) => open),
  };
}

/** `ichor.v1.AdminService/IssueApiKey`: the path of a method without its first slash. */
export function fullMethodName(desc: DescMethod): string {
  return `${desc.parent.typeName}/${desc.name}`;
}

function isUnary(desc: DescMethod): desc is DescMethodUnary {
  return desc.methodKind === "unary";
}

function isServerStreaming(desc: DescMethod): desc is DescMethodServerStreaming {
  return desc.methodKind === "server_streaming";
}

function methodNamed(methods: object, desc: DescMethod): unknown {
  const method: unknown = (methods as Record<string, unknown>)[desc.localName];
  if (typeof method !== "function") throw new TypeError(`${fullMethodName(desc)} has no implementation`);
  return method;
}
