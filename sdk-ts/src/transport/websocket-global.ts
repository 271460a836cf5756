// A WebSocket as browsers, Deno and newer Nodes have it: found in the global scope, or handed in.

import { ExecError } from "../errors.js";
import type { Dial, Transport } from "./transport.js";

/** As much of a WebSocket as is used here. */
export interface WebSocketLike {
  binaryType: string;
  readonly readyState: number;
  /** Sends one text. */
  send(data: string): void;
  /** Ends it with a farewell. */
  close(code?: number, reason?: string): void;
  /** Listens to its opening. */
  addEventListener(type: "open", listener: () => void): void;
  /** Listens to its messages. */
  addEventListener(type: "message", listener: (event: { readonly data: unknown }) => void): void;
  /** Listens to its end, which comes exactly once. */
  addEventListener(
    type: "close",
    listener: (event: { readonly code: number; readonly reason: string }) => void,
  ): void;
  /** Listens to what went wrong; the end follows. */
  addEventListener(type: "error", listener: (event: unknown) => void): void;
}

/**
 * Makes a WebSocket. The second argument is used only when there is a token: Node, Deno and Bun take headers there, browsers
 * names of subprotocols.
 */
export type WebSocketConstructor = new (
  url: string,
  options?: { readonly headers: Readonly<Record<string, string>> } | string[],
) => WebSocketLike;

/** How to reach a server. */
export interface WebSocketTarget {
  readonly url: URL;
  readonly token: string | undefined;
  /** What makes the WebSocket; otherwise the global one. */
  readonly WebSocket: WebSocketConstructor | undefined;
}

const NORMAL = 1000;

/** The server's subprotocol. */
const SUBPROTOCOL = "codex-exec-server";

/** Dials with a WebSocket that has the interface of browsers. */
export function dialWith(target: WebSocketTarget): Dial {
  return (events, signal) =>
    new Promise<Transport>((resolve, reject) => {
      const Constructor = target.WebSocket ?? (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket;
      if (Constructor === undefined) {
        throw new ExecError("invalidArgument", "there is no WebSocket here", {
          hint: 'install "ws", or pass a WebSocket',
        });
      }
      const { url } = target;
      const socket = construct(Constructor, target);
      socket.binaryType = "arraybuffer";
      let isOpen = false;
      let isOver = false;
      const finish = (code: number | undefined, reason: string): void => {
        if (isOver) return;
        isOver = true;
        signal.removeEventListener("abort", aborted);
        if (isOpen) events.onEnd({ code, reason });
        else reject(connectFailed(url, reason));
      };
      const aborted = (): void => {
        isOver = true;
        reject(signal.reason);
        socket.close();
      };
      if (signal.aborted) return aborted();
      signal.addEventListener("abort", aborted, { once: true });
      socket.addEventListener("open", () => {
        if (isOver) return;
        isOpen = true;
        signal.removeEventListener("abort", aborted);
        resolve({
          send: (message) => {
            if (!isOver) socket.send(message);
          },
          close: () => socket.close(NORMAL),
          abandon: () => {
            // Its end is of interest to nobody any more, and may take its time.
            isOver = true;
            socket.close(NORMAL);
          },
        });
      });
      socket.addEventListener("message", ({ data }) => {
        if (isOver) return;
        events.onMessage(typeof data === "string" ? data : new Uint8Array(data as ArrayBuffer));
      });
      // What went wrong is told by the close that follows; browsers tell nothing anyway.
      socket.addEventListener("error", () => {});
      socket.addEventListener("close", ({ code, reason }) =>
        finish(code, reason === "" ? `closed (${code})` : reason),
      );
    });
}

function construct(Constructor: WebSocketConstructor, { url, token }: WebSocketTarget): WebSocketLike {
  if (token === undefined) return made(() => new Constructor(url.href));
  try {
    return new Constructor(url.href, { headers: { authorization: `Bearer ${token}` } });
  } catch {
    // Browsers take an object for the name of a subprotocol, and throw. So there it is one that carries the token. The
    // other one is what the server answers: browsers insist on an answer, and a token has no business in one.
    return made(
      () => new Constructor(url.href, [SUBPROTOCOL, `${SUBPROTOCOL}.bearer.${encodeToken(token)}`]),
    );
  }
}

/** What browsers refuse to try at all, such as an unencrypted connection from an encrypted page. */
function made(make: () => WebSocketLike): WebSocketLike {
  try {
    return make();
  } catch (cause) {
    throw new ExecError("connectFailed", `this platform makes no such WebSocket: ${String(cause)}`, {
      hint: "a page from https:// can only reach wss://, and its content security policy may forbid more",
      cause,
    });
  }
}

/** In base64url without padding: a subprotocol's name holds neither `/` nor `=`. Tokens are ASCII. */
function encodeToken(token: string): string {
  return btoa(token).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/** Why there is no connection. Browsers do not tell a refusal from a cable that was pulled. */
export function connectFailed(url: URL, reason: string, cause?: unknown): ExecError {
  return new ExecError(
    "connectFailed",
    `no connection to ${url.origin === "null" ? url.host : url.origin}: ${reason}`,
    {
      hint: "is the server running, and does it allow this origin and token?",
      cause,
    },
  );
}

/** A page paints no more often than this. */
export const OUTPUT_PACKING_MS: number | null = 16;

/** Dials with what there is here. */
export const dialWebSocket: (target: WebSocketTarget) => Dial = dialWith;
