import {
  CredentialKind as CredentialKindPb,
  KeyStatus as KeyStatusPb,
  RevocationReason as RevocationReasonPb,
  Visibility as VisibilityPb,
} from "../../gen/ichor/v1/api_key_pb.ts";
import { VerificationCode as VerificationCodePb } from "../../gen/ichor/v1/verification_pb.ts";
import type { CredentialKind, KeyStatus, RevocationReason, Visibility } from "../core/api-key.ts";

// The generated enums have the domain's names, so these tables are total by type.
export const keyStatusToProto: Readonly<Record<KeyStatus, KeyStatusPb>> = KeyStatusPb;
export const credentialKindToProto: Readonly<Record<CredentialKind, CredentialKindPb>> = CredentialKindPb;
export const visibilityToProto: Readonly<Record<Visibility, VisibilityPb>> = VisibilityPb;
export const revocationReasonToProto: Readonly<Record<RevocationReason, RevocationReasonPb>> = RevocationReasonPb;
export const verificationCodeToProto = VerificationCodePb;

/** The name of an enum's value without prefix, or its number if this version doesn't know it. */
export function nameOf(values: Readonly<Record<string, unknown>>, value: unknown): string {
  return Object.keys(values).find((name) => values[name] === value) ?? String(value);
}

/** The domain's visibility; unset means SECRET; undefined for an unknown number. */
export function visibilityFromProto(value: VisibilityPb): Visibility | undefined {
  if (value === VisibilityPb.UNSPECIFIED || value === VisibilityPb.SECRET) return "SECRET";
  return value === VisibilityPb.PUBLIC ? "PUBLIC" : undefined;
}

const revocationReasons = new Map<number, RevocationReason>(
  (Object.keys(RevocationReasonPb) as RevocationReason[]).map((name) => [RevocationReasonPb[name], name]),
);

/** The domain's reason; undefined for an unknown number. */
export function revocationReasonFromProto(value: RevocationReasonPb): RevocationReason | undefined {
  return revocationReasons.get(value);
}
