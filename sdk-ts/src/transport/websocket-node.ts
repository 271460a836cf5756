// A WebSocket for Node: package `ws`, which can be held while a reader is slow and tells why a server refused; without
// that package, the WebSocket that newer Nodes have themselves.

import { connect, type NetConnectOpts, type Socket } from "node:net";
import type { ClientOptions, WebSocket } from "ws";
import { ExecError } from "../errors.js";
import { BulkReader } from "./bulk.js";
import type { Dial, Transport } from "./transport.js";
import { connectFailed, dialWith, type WebSocketTarget } from "./websocket-global.js";

type WsConstructor = new (url: URL, options: ClientOptions) => WebSocket;

/** Answers may hold a whole file of 512 MiB. */
const MAX_MESSAGE_BYTES = 1 << 30;
const NORMAL = 1000;
/** Node's own sockets can be read so; others have the name, and may not. */
const READS_BULK = !("deno" in process.versions || "bun" in process.versions);

/** A message costs little here. */
export const OUTPUT_PACKING_MS: number | null = null;

/** Dials with `ws` where it is installed. */
export function dialWebSocket(target: WebSocketTarget): Dial {
  if (target.WebSocket !== undefined) return dialWith(target);
  return async (events, signal) => {
    const ws = await loadWs();
    signal.throwIfAborted();
    return ws === undefined ? dialWith(target)(events, signal) : dialWs(ws, target)(events, signal);
  };
}

/** How `ws` is to connect, so that large messages of bytes are told past it. */
function connectForBulk(tell: (message: Uint8Array<ArrayBuffer>) => void): typeof connect {
  const open = (options: NetConnectOpts): Socket => {
    const reader: BulkReader = new BulkReader(() => socket, tell);
    const onread = {
      buffer: () => reader.room(),
      callback: (bytes: number) => reader.take(bytes),
    };
    // A path is that of a resource here, not of a Unix socket.
    const socket: Socket = connect({ ...options, path: undefined, onread } as unknown as NetConnectOpts);
    return socket;
  };
  return open as typeof connect;
}

async function loadWs(): Promise<WsConstructor | undefined> {
  try {
    return (await import("ws")).WebSocket as unknown as WsConstructor;
  } catch {
    return undefined;
  }
}

function dialWs(Ws: WsConstructor, { url, token }: WebSocketTarget): Dial {
  return (events, signal) =>
    new Promise<Transport>((resolve, reject) => {
      const socket = new Ws(url, {
        perMessageDeflate: false,
        // What BulkReader gives it is told before the next message is.
        allowSynchronousEvents: true,
        ...(READS_BULK &&
          url.protocol === "ws:" && {
            createConnection: connectForBulk((message) => {
              if (isOpen && !isOver) events.onMessage(message);
            }),
          }),
        maxPayload: MAX_MESSAGE_BYTES,
        ...(token !== undefined && { headers: { authorization: `Bearer ${token}` } }),
      });
      let isOpen = false;
      let isOver = false;
      let problem: Error | undefined;
      const aborted = (): void => {
        isOver = true;
        reject(signal.reason);
        socket.terminate();
      };
      signal.addEventListener("abort", aborted, { once: true });
      socket.on("unexpected-response", (_request, response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          // The words of a refusal are short.
          if (size < 1024) chunks.push(chunk);
          size += chunk.length;
        });
        response.on("error", () => {});
        response.on("close", () => {
          if (isOver) return;
          isOver = true;
          signal.removeEventListener("abort", aborted);
          const said = Buffer.concat(chunks).toString("utf8").slice(0, 200).trim();
          reject(refused(url, response.statusCode ?? 0, said, token !== undefined));
          socket.terminate();
        });
      });
      socket.on("open", () => {
        if (isOver) return;
        isOpen = true;
        signal.removeEventListener("abort", aborted);
        resolve({
          send: (message) => {
            if (socket.readyState === socket.OPEN) socket.send(message);
          },
          pause: () => socket.pause(),
          resume: () => socket.resume(),
          close: () => {
            // What is paused would never read the answer to the farewell.
            socket.resume();
            socket.close(NORMAL);
          },
          abandon: () => {
            isOver = true;
            socket.terminate();
          },
        });
      });
      socket.on("message", (data: Buffer, isBinary: boolean) => {
        if (isOver) return;
        events.onMessage(
          isBinary
            ? new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.length)
            : data.toString("utf8"),
        );
      });
      socket.on("error", (error) => {
        problem ??= error;
      });
      socket.on("close", (code, reason) => {
        if (isOver) return;
        isOver = true;
        signal.removeEventListener("abort", aborted);
        const words = reason.toString("utf8") || problem?.message || `closed (${code})`;
        if (isOpen) events.onEnd({ code, reason: words });
        else reject(connectFailed(url, words, problem));
      });
    });
}

/** What an HTTP answer in place of an upgrade means. */
function refused(url: URL, status: number, said: string, hadToken: boolean): ExecError {
  const words = said === "" ? `HTTP status ${status}` : `HTTP status ${status}, ${said}`;
  const text = `${url.host} refused the connection: ${words}`;
  if (status === 401) {
    return new ExecError("unauthorized", text, {
      hint: hadToken ? "the token is not the server's" : "pass the server's token",
    });
  }
  if (status === 403) {
    return new ExecError("forbidden", text, { hint: "start the server with --allow-origin for this origin" });
  }
  // What stands between may be back soon; a server that answers otherwise is none of ours.
  if (status >= 500 || status === 429 || status === 408) return new ExecError("connectFailed", text);
  return new ExecError("notAServer", text, {
    hint: "is it a codex-exec-server, and is it the right port and path?",
  });
}
