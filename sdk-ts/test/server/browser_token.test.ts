// A token as browsers show it: their WebSocket takes names of subprotocols, and no headers.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { connect, type WebSocketConstructor } from "../../src/index.js";
import { TestServer } from "../support/server.js";

// Blanks aside, whatever a header may hold: much of it may not stand in a subprotocol.
const TOKEN = 'a+b/c==?"(),;:~';

/** Sees what a page would have sent. */
const offered: string[][] = [];

/** A WebSocket that takes what those of browsers take. */
class BrowserWebSocket extends WebSocket {
  constructor(url: string, protocols: unknown = []) {
    if (!Array.isArray(protocols)) throw new SyntaxError(`the subprotocol '${String(protocols)}' is invalid`);
    offered.push(protocols);
    super(url, protocols as string[]);
  }
}
const options = { WebSocket: BrowserWebSocket as unknown as WebSocketConstructor };

let folder: string;
let server: TestServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "token-"));
  await writeFile(join(folder, "token"), TOKEN);
  server = await TestServer.start([
    "--ws-auth",
    "capability-token",
    "--ws-token-file",
    join(folder, "token"),
  ]);
});

afterAll(async () => {
  await server?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

test("the token gets through where there are no headers", async () => {
  offered.length = 0;
  await using client = await connect(server.url, { ...options, token: TOKEN });
  const { stdoutText } = await client.process.run({ argv: ["echo", "in"] });
  expect(stdoutText).toBe("in\n");
  expect(offered).toHaveLength(1);
  expect(offered[0]?.[0]).toBe("codex-exec-server");
  for (const name of offered[0] ?? []) expect(name).toMatch(/^[\w.-]+$/);
});

test("another token, or none, does not", async () => {
  for (const token of ["other", undefined]) {
    await expect(
      connect(server.url, { ...options, ...(token !== undefined && { token }) }),
    ).rejects.toMatchObject({
      kind: "connectFailed",
    });
  }
});

test("a WebSocket that can't be made at all is told as such", async () => {
  class Refusing {
    constructor() {
      throw new DOMException("an insecure connection may not be made", "SecurityError");
    }
  }
  const WebSocket = Refusing as unknown as WebSocketConstructor;
  for (const token of [TOKEN, undefined]) {
    const failed = connect(server.url, { WebSocket, ...(token !== undefined && { token }) });
    await expect(failed).rejects.toMatchObject({
      kind: "connectFailed",
      message: expect.stringContaining("wss://"),
    });
  }
});
