import { CredentialKind } from "../../gen/ichor/v1/api_key_pb.ts";
import { VerificationCode } from "../../gen/ichor/v1/verification_pb.ts";
import { after } from "../core/eventual.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Verifier } from "../verifier/verifier.ts";
import type { Decide } from "./decide.ts";
import type { AnswerGateway } from "./gateway.ts";
import type { KeyAnswers } from "./key-answers.ts";
import type { RelayHub } from "./relay-hub.ts";
import type { Upstream } from "./upstream.ts";

export interface ObservedParts {
  readonly upstream: Pick<Upstream, "tally" | "waiting">;
  readonly keys: Pick<KeyAnswers, "reads" | "bytes">;
  readonly verifier: Pick<Verifier, "status">;
  /** undefined: nobody may follow. */
  readonly hub: Pick<RelayHub, "tally" | "book"> | undefined;
}

/** Lets metrics read what the parts of a side-car count and keep anyway. */
export function observeSidecar(metrics: Metrics, { upstream, keys, verifier, hub }: ObservedParts): void {
  for (const outcome of ["ok", "failed", "refused"] as const)
    metrics.observe("ichor.upstream.questions", { "ichor.outcome": outcome }, () => upstream.tally[outcome]);
  metrics.observe("ichor.upstream.waiting", {}, () => upstream.waiting);

  const answers = { "ichor.cache": "answers" };
  metrics.observe("ichor.cache.size", answers, () => keys.bytes);
  for (const result of ["hit", "miss", "bypass"] as const)
    metrics.observe("ichor.cache.reads", { ...answers, "ichor.result": result }, () => keys.reads[result]);

  metrics.observe("ichor.key_set.connected", {}, () => Number(verifier.status().connected));
  metrics.observe("ichor.key_set.revision", {}, () => Number(verifier.status().revision));
  metrics.observe("ichor.key_set.age", {}, () => {
    const { age } = verifier.status();
    return Number.isFinite(age) ? age : undefined;
  });

  if (hub === undefined) return;
  metrics.observe("ichor.stream.subscribers", {}, () => hub.book.connected);
  metrics.observe("ichor.stream.messages", {}, () => hub.tally.messages);
  for (const reason of hub.tally.resyncs.keys())
    metrics.observe("ichor.stream.resyncs", { "ichor.reason": reason }, () => hub.tally.resyncs.get(reason));
}

const codeNames = new Map<number, string>(Object.entries(VerificationCode).map(([name, code]) => [code, name]));
const kindNames = new Map<number, string>([
  ...Object.entries(CredentialKind).map(([name, kind]) => [kind, name] as const),
  [CredentialKind.UNSPECIFIED, "NONE"],
]);

/** Counts what is decided, by code and kind; texts that are no credential have none. */
export function countDecisions(metrics: Metrics, decide: Decide): Decide {
  const counts = metrics.counts("ichor.verifications");
  return (request) =>
    after(decide(request), (answer) => {
      const { code = VerificationCode.UNSPECIFIED, kind = CredentialKind.UNSPECIFIED } = answer;
      counts(codeNames.get(code) ?? "UNKNOWN", kindNames.get(kind)).value++;
      return answer;
    });
}

/** Counts what gateways are answered, by door and status. */
export function countGatewayAnswers(metrics: Metrics, answer: AnswerGateway): AnswerGateway {
  const counts = metrics.counts("ichor.gateway.answers");
  return async (request) => {
    const answered = await answer(request);
    counts(request.door, String(answered.status)).value++;
    return answered;
  };
}
