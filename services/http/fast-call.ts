import type { IncomingMessage } from "node:http";
import type { ServerHttp2Stream } from "node:http2";
import type { DescMethodUnary, MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectError } from "@connectrpc/connect";
import type { Eventual } from "../core/eventual.ts";
import type { Log } from "../rpc/log.ts";
import type { UnaryMethod } from "../rpc/method-registry.ts";
import type { Pipeline, Screened } from "../rpc/pipeline.ts";
import { decodeRequest, unknownCompression, unwrapEnvelope } from "../rpc/request-message.ts";
import { type BodyLimits, type BodyReceiver, readBody } from "./read-body.ts";
import type { UnaryCarrier } from "./unary-carrier.ts";
import type { UnaryAnswer, UnaryProtocol } from "./unary-protocols.ts";

export interface FastCallDeps {
  readonly pipeline: Pipeline;
  readonly log: Pick<Log, "error">;
}

/** A method as it is called with one content type. */
export interface FastRoute {
  readonly method: UnaryMethod;
  readonly protocol: UnaryProtocol;
  readonly limits: BodyLimits;
}

/** One call that the fast path took, from its body to its answer. Without a promise unless the method waits for something. */
export abstract class FastCall implements BodyReceiver {
  readonly #deps: FastCallDeps;
  readonly #route: FastRoute;
  readonly #carrier: UnaryCarrier;
  #screening: Promise<Screened | undefined> | undefined;

  constructor(deps: FastCallDeps, route: FastRoute, carrier: UnaryCarrier) {
    this.#deps = deps;
    this.#route = route;
    this.#carrier = carrier;
  }

  /** Sends the answer, unless the client is gone. */
  protected abstract send(answer: UnaryAnswer): void;

  begin(body: IncomingMessage | ServerHttp2Stream): void {
    readBody(body, this.#route.limits, this);
  }

  async screen(): Promise<boolean> {
    return (await this.#screen()) !== undefined;
  }

  whole(bytes: Uint8Array): void {
    try {
      const answer = this.#run(bytes);
      if (answer instanceof Promise)
        void answer.then((late) => this.send(late)).catch((err: unknown) => this.#notDelivered(err));
      else this.send(answer);
    } catch (err) {
      this.#notDelivered(err);
    }
  }

  faulty(thrown: unknown): void {
    void this.#screen()
      .then((screened) => screened && this.send(this.#refuse(thrown, screened)))
      .catch((err: unknown) => this.#notDelivered(err));
  }

  #run(bytes: Uint8Array): Eventual<UnaryAnswer> {
    const { method, protocol } = this.#route;
    const decode = () =>
      decodeRequest(method.desc.input, messageOf(bytes, this.#route), protocol.json, method.hot?.codec);
    // What the pipeline rejects with is recorded and ready to be sent.
    const answer = this.#deps.pipeline.unary(method, decode, this.#carrier);
    if (answer instanceof Promise) return answer.then((late) => this.#success(late), protocol.failure);
    return this.#success(answer);
  }

  #success(answer: MessageInitShape<DescMethodUnary["output"]>): UnaryAnswer {
    const { method, protocol } = this.#route;
    try {
      return protocol.success(method, answer);
    } catch (thrown) {
      return this.#refuse(thrown);
    }
  }

  #refuse(thrown: unknown, screened?: Screened): UnaryAnswer {
    const { method, protocol } = this.#route;
    return protocol.failure(this.#deps.pipeline.refuse(method.name, false, this.#carrier, thrown, screened));
  }

  /** Asked at most once, and only for what is large or faulty; undefined: the caller has been refused. */
  #screen(): Promise<Screened | undefined> {
    const { method, protocol } = this.#route;
    this.#screening ??= this.#deps.pipeline.screen(method, this.#carrier).catch((error: ConnectError) => {
      this.send(protocol.failure(error));
      return undefined;
    });
    return this.#screening;
  }

  #notDelivered(err: unknown): void {
    this.#deps.log.error({ method: this.#route.method.name, err }, "answer not delivered");
  }
}

function messageOf(body: Uint8Array, { method, protocol }: FastRoute): Uint8Array {
  if (!protocol.enveloped) return body;
  const { bytes, compressed } = unwrapEnvelope(body, method.requestBytesMax);
  if (compressed) throw unknownCompression();
  return bytes;
}
