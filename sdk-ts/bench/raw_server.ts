// A program that is a WebSocket server and no more: to whoever comes it sends as many bytes as the path says, in ready-made
// messages of 64 KiB, and closes. Nothing is made, copied or looked at meanwhile, so a client can have it no faster.

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const MESSAGE_BYTES = 64 << 10;
/** Final, binary, not masked, with its length in eight bytes. */
const HEADER = Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
const MESSAGES_AT_ONCE = 16;
const BLOCK = Buffer.concat(
  Array.from({ length: MESSAGES_AT_ONCE }, () => [HEADER, Buffer.alloc(MESSAGE_BYTES)]).flat(),
);
const CLOSE = Buffer.from([0x88, 2, 0x03, 0xe8]);
/** Of RFC 6455. */
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const server = createServer();
server.on("upgrade", async (request, socket) => {
  const key = request.headers["sec-websocket-key"];
  const accept = createHash("sha1").update(`${key}${GUID}`).digest("base64");
  socket.on("error", () => {});
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  );
  socket.resume();
  for (let left = Number(request.url?.slice(1)); left > 0; left -= MESSAGES_AT_ONCE * MESSAGE_BYTES) {
    if (!socket.write(BLOCK)) await new Promise((resolve) => socket.once("drain", resolve));
  }
  socket.end(CLOSE);
});
server.listen(0, "127.0.0.1", () => console.log(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`));
// It ends with whoever started it.
process.stdin.on("end", () => process.exit());
process.stdin.resume();
