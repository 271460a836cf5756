// `client.http`: requests that leave from the server's machine, in the shape of `fetch`.

import { encodeBase64 } from "./core/base64.js";
import { ExecError } from "./errors.js";
import type { HttpRequestHeader, HttpRequestParams } from "./generated/types.js";
import { Bodies } from "./http_body.js";
import type { Session } from "./rpc/session.js";

/** What `fetch` takes, and what only this one can. */
export interface HttpInit {
  readonly method?: string;
  readonly headers?: HeadersInit;
  /** The body; a stream is read to its end before the request is sent. */
  readonly body?: BodyInit | null;
  /** `manual` returns a redirect as it is; `error` rejects. Default `follow`. */
  readonly redirect?: RequestRedirect;
  readonly signal?: AbortSignal | null | undefined;
  /** How long the exchange may take in all. Default: for ever. */
  readonly timeoutMs?: number;
  /** Headers whose value ends in a variable of the server's environment. Flag `httpHeaderEnvVars`. */
  readonly headersFromEnv?: readonly HttpRequestHeader[];
}

/** Answers that have no body, for which a `Response` takes none. */
const BODILESS = [101, 103, 204, 205, 304];

/** See the head of the file. */
export class HttpClient {
  readonly #session: Session;
  readonly #bodies: Bodies;

  /** @internal */
  constructor(session: Session) {
    this.#session = session;
    this.#bodies = new Bodies(session);
  }

  /**
   * As the global `fetch`, but from the server's machine: the answer is there when the headers are, and its body streams.
   * Sent once. A body that the connection was lost under errors with kind `bodyLost`.
   */
  async fetch(input: string | URL | Request, init: HttpInit = {}): Promise<Response> {
    const { timeoutMs, headersFromEnv = [], ...rest } = init;
    if (headersFromEnv.length > 0) this.#session.demand("httpHeaderEnvVars");
    const request = await toRequest(input, rest);
    const { signal } = request;
    const body = this.#bodies.open(this.#session.config.httpBodyBytes);
    const params: HttpRequestParams = {
      method: request.method,
      url: request.url,
      headers: [...[...request.headers].map(([name, value]) => ({ name, value })), ...headersFromEnv],
      requestId: body.id,
      streamResponse: true,
      redirectPolicy: request.redirect === "follow" ? "follow" : "stop",
      ...(request.body.length > 0 && { bodyBase64: encodeBase64(request.body) }),
      ...(timeoutMs !== undefined && { timeoutMs }),
    };
    try {
      const { status, headers } = await this.#session.call("http/request", params, {
        repeat: "ifUnsent",
        signal,
      });
      if (request.redirect === "error" && status >= 300 && status < 400) {
        throw new ExecError("refused", `${request.url} answered with a redirect (${status})`, {
          hint: 'pass redirect: "follow" or "manual"',
        });
      }
      const answer = new Headers();
      for (const { name, value } of headers) answer.append(name, value);
      if (!BODILESS.includes(status)) return new Response(body.stream(signal), { status, headers: answer });
      body.close();
      return new Response(null, { status: Math.max(200, status), headers: answer });
    } catch (error) {
      body.close();
      throw error;
    }
  }
}

interface Parts {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly redirect: RequestRedirect;
  readonly signal: AbortSignal | undefined;
  readonly body: Uint8Array;
}

/** Reads a request as `fetch` would, without the rules for browsers that a `Request` brings along. */
async function toRequest(
  input: string | URL | Request,
  init: Omit<HttpInit, "timeoutMs" | "headersFromEnv">,
): Promise<Parts> {
  const given = input instanceof Request ? input : undefined;
  const url = parseUrl(given?.url ?? String(input));
  // A response knows how to read every kind of body, and which type it has.
  const source = init.body !== undefined && init.body !== null ? new Response(init.body) : given?.clone();
  const body = new Uint8Array((await source?.arrayBuffer()) ?? new ArrayBuffer(0));
  const headers = new Headers(init.headers ?? given?.headers);
  const type =
    init.body !== undefined && init.body !== null ? source?.headers.get("content-type") : undefined;
  if (type !== undefined && type !== null && !headers.has("content-type")) headers.set("content-type", type);
  return {
    method: init.method ?? given?.method ?? "GET",
    url,
    headers,
    redirect: init.redirect ?? given?.redirect ?? "follow",
    signal: init.signal ?? given?.signal ?? undefined,
    body,
  };
}

function parseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol === "http:" || url?.protocol === "https:") return url.href;
  throw new ExecError("invalidUrl", `${JSON.stringify(text)} is no http or https URL`, {
    hint: "pass an absolute one",
  });
}
