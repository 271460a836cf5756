// Servers that are none: they close at once, answer garbage, never answer, or answer what nobody asked.

import type { IncomingMessage } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { type WebSocket, WebSocketServer } from "ws";

/** A TCP server that does `behave` to each connection. */
export async function tcpServer(
  behave: (socket: Socket) => void,
): Promise<{ url: string } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    behave(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** A WebSocket server that does `behave` to each connection. */
export async function webSocketServer(
  behave: (socket: WebSocket, request: IncomingMessage) => void,
): Promise<{ url: string } & AsyncDisposable> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server.on("connection", behave);
  await new Promise((resolve) => server.once("listening", resolve));
  return {
    url: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        for (const socket of server.clients) socket.terminate();
        server.close(() => resolve());
      }),
  };
}

/** Answers `initialize` and leaves the rest to `then`. */
export function initialized(
  socket: WebSocket,
  capabilities: object,
  then: (message: { id?: number; method: string; params: never }) => void,
): void {
  socket.on("message", (data) => {
    const message = JSON.parse(String(data));
    if (message.method !== "initialize") return then(message);
    const environmentInfo = { shell: { name: "sh", path: "/bin/sh" }, cwd: "file:///", capabilities };
    const result = { sessionId: "00000000-0000-4000-8000-000000000000", environmentInfo };
    socket.send(JSON.stringify({ id: message.id, result }));
  });
}
