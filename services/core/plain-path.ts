/** As RFC 3986 section 3.3 writes a path, without `;`: what stands behind it is a parameter to some services. */
const writtenPath = /^\/(?:[A-Za-z0-9\-._~!$&'()*+,=:@/]|%[0-9A-Fa-f]{2})*$/;
/** What a target has besides: a query, of visible ASCII. */
const writtenTarget = /^[\x21-\x22\x24-\x7e]*$/;
/** What is another mark once it is decoded, and what needs no encoding (RFC 3986 section 2.3). */
const misleadingWhenEncoded = /[/\\;%?#\w\-.~]/;
/** What some file systems and services leave away, or read as a mark. */
const misleadingInSegment = /[. ]$|[\\;%\p{Cc}]/u;

/**
 * Gives the decoded path of a request's target, its query left out; undefined if a gateway and a service behind it may
 * see different ones: dot segments, empty ones, encoded slashes and letters, backslashes, `;`, no path at all.
 */
export function plainPath(target: string): string | undefined {
  const [written = ""] = target.split("?", 1);
  if (!writtenTarget.test(target) || !writtenPath.test(written)) return undefined;
  for (const [octet] of written.matchAll(/%../g)) {
    if (misleads(Number.parseInt(octet.slice(1), 16))) return undefined;
  }
  const path = decoded(written);
  return path !== undefined && isPlain(path) && isPlain(path.normalize("NFKC")) ? path : undefined;
}

/** Gives what paths have in common that some services take for the same: without regard to case, width and a last slash. */
export function loosePath(path: string): string {
  const loose = path.normalize("NFKC").toUpperCase().toLowerCase();
  return loose.length > 1 && loose.endsWith("/") ? loose.slice(0, -1) : loose;
}

function misleads(octet: number): boolean {
  return octet < 0x20 || octet === 0x7f || misleadingWhenEncoded.test(String.fromCharCode(octet));
}

function isPlain(path: string): boolean {
  const segments = path.slice(1).split("/");
  return segments.every((segment, i) =>
    segment === "" ? i === segments.length - 1 : !misleadingInSegment.test(segment),
  );
}

function decoded(written: string): string | undefined {
  try {
    return decodeURIComponent(written);
  } catch {
    return undefined;
  }
}
