// Who is not let in by the real server, and what is said of that.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { WebSocket } from "ws";
import { connect, type WebSocketConstructor } from "../../src/index.js";
import { TestServer } from "../support/server.js";

test("no token, and another one, are told apart, and what to do about either", async () => {
  const folder = await mkdtemp(join(tmpdir(), "refusals-"));
  try {
    const file = join(folder, "token");
    await writeFile(file, "right");
    await using server = await TestServer.start(["--ws-auth", "capability-token", "--ws-token-file", file]);
    const none = connect(server.url);
    await expect(none).rejects.toMatchObject({ kind: "unauthorized", hint: "pass the server's token" });
    const other = connect(server.url, { token: "wrong" });
    await expect(other).rejects.toMatchObject({
      kind: "unauthorized",
      hint: "the token is not the server's",
    });
    await using client = await connect(server.url, { token: "right" });
    await client.ping();
  } finally {
    await rm(folder, { recursive: true });
  }
});

test("an origin that was not allowed is refused, and one that was is let in", async () => {
  const origin = "http://editor.example";
  /** As a page of that origin has it, which is told no more than that it failed. */
  class PageSocket extends WebSocket {
    constructor(url: string) {
      super(url, { origin });
    }
  }
  const options = { WebSocket: PageSocket as unknown as WebSocketConstructor };
  await using strict = await TestServer.start();
  await expect(connect(strict.url, options)).rejects.toMatchObject({
    kind: "connectFailed",
    hint: expect.stringContaining("allow this origin"),
  });
  await using server = await TestServer.start(["--allow-origin", origin]);
  await using client = await connect(server.url, options);
  await client.ping();
});
