const audiencePattern = /^[A-Za-z0-9._~:/@+-]{1,255}$/;

/** Whether the text may name an audience: 1–255 characters of `[A-Za-z0-9._~:/@+-]`, as in URLs without query. */
export function isAudience(text: string): boolean {
  return audiencePattern.test(text);
}
