import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.ts";
import { ErrorReason as ErrorReasonEnum } from "../../../gen/ichor/v1/error_reason_pb.ts";
import { errorReasons, IchorError } from "../../../services/core/errors.ts";
import { failureOf, outcomeOfReason } from "../../../services/rpc/error-boundary.ts";
import { commentsOf } from "../../support/proto-comments.ts";

const infoOf = (error: ConnectError) => error.findDetails(ErrorInfoSchema)[0];

describe("outcomeOfReason", () => {
  it("gives each reason the code that error_reason.proto promises", () => {
    const comments = commentsOf("ichor/v1/error_reason.proto", /^\s*ERROR_REASON_(\w+) = [1-9]/);
    const promised = [...comments].map(([reason, comment]) => [reason, /\(([A-Z_]+)\)\.$/.exec(comment)?.[1]]);
    const given = errorReasons.map((reason) => [reason, screaming(Code[outcomeOfReason[reason].code] ?? "")]);
    expect(new Map(given as [string, string][])).toEqual(new Map(promised as [string, string][]));
  });

  it("knows the reasons of the enum, and no other", () => {
    const names = Object.keys(ErrorReasonEnum).filter((name) => name !== "UNSPECIFIED");
    expect(new Set(errorReasons)).toEqual(new Set(names));
    expect(errorReasons).toHaveLength(names.length);
  });
});

describe("failureOf", () => {
  it("sends reason, domain and metadata of an IchorError", () => {
    const { error, reason } = failureOf(
      new IchorError("SCOPE_MISSING", "no", { metadata: { scope: "ichor:keys:read" } }),
      false,
    );
    expect(reason).toBe("SCOPE_MISSING");
    expect(error).toMatchObject({ code: Code.PermissionDenied, rawMessage: "no" });
    expect(infoOf(error)).toMatchObject({
      reason: "SCOPE_MISSING",
      domain: "ichor",
      metadata: { scope: "ichor:keys:read" },
    });
    expect(error.details).toHaveLength(1);
  });

  it("names every refused field in a BadRequest", () => {
    const violations = [
      { field: "name", description: "is missing" },
      { field: "cidrs[2]", description: "is no network" },
    ];
    const { error } = failureOf(new IchorError("INVALID_FIELD", "bad", { violations }), false);
    expect(error.findDetails(BadRequestSchema)[0]?.fieldViolations).toMatchObject(violations);
  });

  it.each([
    [0, 0n, 0],
    [250, 0n, 250_000_000],
    [61_500, 61n, 500_000_000],
  ])("says when to try again: %d ms", (retryAfterMs, seconds, nanos) => {
    const { error } = failureOf(new IchorError("STORE_UNAVAILABLE", "down", { retryAfterMs }), false);
    expect(error.findDetails(RetryInfoSchema)[0]?.retryDelay).toMatchObject({ seconds, nanos });
  });

  it.each([new TypeError("secret detail"), "secret detail", undefined, { code: 5, message: "secret detail" }])(
    "tells nothing of a bug but an id for the log: %s",
    (thrown) => {
      const failure = failureOf(thrown, false);
      expect(failure).toMatchObject({ reason: "INTERNAL", level: "error", cause: thrown });
      expect(failure.error).toMatchObject({ code: Code.Internal, rawMessage: "internal error" });
      expect(infoOf(failure.error)?.metadata).toEqual({ log_id: failure.logId });
      expect(failure.logId).toMatch(/^[0-9a-f-]{36}$/);
      expect(failure.error.details).toHaveLength(1);
      expect(JSON.stringify(infoOf(failure.error))).not.toContain("secret");
    },
  );

  it.each([
    [Code.InvalidArgument, "INVALID_FIELD", Code.InvalidArgument],
    [Code.ResourceExhausted, "REQUEST_TOO_LARGE", Code.ResourceExhausted],
    [Code.DeadlineExceeded, "DEADLINE_EXCEEDED", Code.DeadlineExceeded],
    [Code.Internal, "INTERNAL", Code.Internal],
    [Code.Unknown, "INTERNAL", Code.Internal],
  ] as const)("gives connect's own error of code %i the reason %s", (code, reason, sent) => {
    const { error } = failureOf(new ConnectError("text", code), false);
    expect(error.code).toBe(sent);
    expect(infoOf(error)?.reason).toBe(reason);
  });

  it("takes an AbortError for the client's leaving only if the client has left", () => {
    const thrown = new DOMException("gone", "AbortError");
    expect(failureOf(thrown, true)).toMatchObject({ level: "info", error: { code: Code.Canceled } });
    expect(failureOf(thrown, false)).toMatchObject({ level: "error", reason: "INTERNAL" });
    expect(failureOf(new TypeError("a bug"), true)).toMatchObject({ level: "error", reason: "INTERNAL" });
  });
});

/** `PermissionDenied` → `PERMISSION_DENIED`. */
function screaming(name: string): string {
  return name.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}
