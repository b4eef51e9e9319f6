/** Claims that no caller may set, by who registered them. A custom claim of such a name is refused, not dropped. */
export const reservedClaims: ReadonlySet<string> = new Set([
  // RFC 7519 section 4.1
  ...["iss", "sub", "aud", "exp", "nbf", "iat", "jti"],
  // RFC 7800 section 3.1
  "cnf",
  // RFC 8693 section 4
  ...["act", "scope", "client_id", "may_act"],
  // RFC 9068 section 2.2: also those of OpenID Connect Core section 2 and RFC 7643 that it gives a meaning in access tokens
  ...["auth_time", "acr", "amr", "roles", "groups", "entitlements"],
  // RFC 9396 section 9
  "authorization_details",
  // OpenID Connect Core section 5.1
  ...["name", "given_name", "family_name", "middle_name", "nickname", "preferred_username", "profile", "picture"],
  ...["website", "email", "email_verified", "gender", "birthdate", "zoneinfo", "locale", "phone_number"],
  ...["phone_number_verified", "address", "updated_at"],
  // Ours
  ...["tenant", "epoch", "cst"],
]);
