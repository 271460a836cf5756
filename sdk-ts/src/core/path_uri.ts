// Paths on the wire are absolute `file:` URIs; callers write native paths. The way there and back, without IO.

/** What stands before the base64url text of a path that has no plain spelling; no real path holds a NUL. */
const OPAQUE = "file:///%00/bad/path/";
/** What a URI parser takes for a drive. */
const DRIVE = /^[A-Za-z][:|]$/;

/** What `encodeURIComponent` escapes although a path segment need not. */
const NEEDLESS = /%(?:24|26|2B|2C|3A|3B|3D|40|5B|5D|5E|7C)/g;

function encodeSegment(segment: string): string {
  // A lone half of a surrogate pair stands for no character, and would make the next function throw.
  const text = segment.replace(/\p{Surrogate}/gu, "\ufffd");
  return encodeURIComponent(text).replace(NEEDLESS, decodeURIComponent);
}

function base64url(bytes: Uint8Array): string {
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/**
 * The `file:` URI of a path: `/srv/a b` becomes `file:///srv/a%20b`, `C:\src` becomes `file:///C:/src`. A URI is returned
 * as it is. A relative path starts from `cwd`, a URI; without that it is `undefined`, as is a path with a NUL in it.
 */
export function toPathUri(path: string, cwd?: string): string | undefined {
  if (path.startsWith("file:")) return path;
  if (path.includes("\0")) return undefined;
  if (path.startsWith("/")) {
    const segments = path.split("/").slice(1);
    // A parser would resolve `..` without asking where links lead, and take `/C:` for a drive.
    if (segments.includes("..") || DRIVE.test(segments[0] ?? "")) {
      return OPAQUE + base64url(new TextEncoder().encode(path));
    }
    return `file:///${segments
      .filter((segment) => segment !== ".")
      .map(encodeSegment)
      .join("/")}`;
  }
  if (/^[A-Za-z]:[\\/]/.test(path)) {
    const [drive = "", ...segments] = path.split(/[\\/]/);
    return `file:///${[drive, ...segments.map(encodeSegment)].join("/")}`;
  }
  if (cwd === undefined) return undefined;
  const base = fromPathUri(cwd);
  if (base.startsWith("file:")) return undefined;
  const isWindows = /^[A-Za-z]:/.test(base);
  const separator = isWindows ? "\\" : "/";
  return toPathUri(base.endsWith(separator) ? base + path : base + separator + path);
}

/**
 * The native path that a URI spells. One that has no text, since its bytes are no UTF-8, stays the URI; every function of
 * this library takes either.
 */
export function fromPathUri(uri: string): string {
  if (uri.startsWith(OPAQUE)) {
    try {
      const binary = atob(uri.slice(OPAQUE.length).replaceAll("-", "+").replaceAll("_", "/"));
      return new TextDecoder("utf-8", { fatal: true }).decode(
        Uint8Array.from(binary, (c) => c.charCodeAt(0)),
      );
    } catch {
      return uri;
    }
  }
  if (!uri.startsWith("file:///")) return uri;
  try {
    const path = decodeURIComponent(uri.slice("file://".length));
    return /^\/[A-Za-z]:(\/|$)/.test(path) ? path.slice(1).replaceAll("/", "\\") : path;
  } catch {
    return uri;
  }
}
