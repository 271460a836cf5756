// Whether the server lets this page in. A WebSocket that is refused does not tell a page why; this request does.

/** What the server says about a credential. */
export type Access =
  | { readonly type: "granted" }
  /** It wants a credential, or another one. `said`: in its own words. */
  | { readonly type: "refused"; readonly said: string; readonly hadToken: boolean }
  /** It admits no pages of this origin. */
  | { readonly type: "forbidden" }
  | { readonly type: "unreachable"; readonly why: string };

/** Asks. */
export async function askAccess(token: string | undefined, signal?: AbortSignal): Promise<Access> {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  try {
    const response = await fetch("access", {
      headers,
      cache: "no-store",
      ...(signal !== undefined && { signal }),
    });
    if (response.ok) return { type: "granted" };
    if (response.status === 401) {
      return { type: "refused", said: await response.text(), hadToken: token !== undefined };
    }
    if (response.status === 403) return { type: "forbidden" };
    return { type: "unreachable", why: `it answered with HTTP status ${response.status}` };
  } catch (error) {
    return { type: "unreachable", why: error instanceof Error ? error.message : String(error) };
  }
}

/** Where the WebSocket is: one step above this page. */
export function serverUrl(): string {
  const url = new URL("../", location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.search = "";
  url.hash = "";
  return url.href;
}
