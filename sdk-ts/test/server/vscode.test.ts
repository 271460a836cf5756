// The editor's terminal over the real server, with a fake of the editor.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Client, connect } from "../../src/index.js";
import { RemotePseudoterminal } from "../../src/vscode.js";
import { ended } from "../support/ended.js";
import { fakeVsCode } from "../support/fake_vscode.js";
import { TestServer } from "../support/server.js";

let server: TestServer;
let client: Client;

beforeAll(async () => {
  server = await TestServer.start();
  client = await connect(server.url);
});

afterAll(async () => {
  await client?.close();
  await server?.[Symbol.asyncDispose]();
});

describe("a terminal", () => {
  test("shows what the process says, passes on what is typed, and closes with its exit code", async () => {
    const script = "stty size; read line; echo got $line; stty size; exit 4";
    const terminal = new RemotePseudoterminal(fakeVsCode, client, { argv: ["sh", "-c", script] });
    let screen = "";
    let resized = false;
    const closed = new Promise((resolve) => terminal.onDidClose(resolve));
    terminal.onDidWrite((text) => {
      screen += text;
      if (resized || !screen.includes("10 20")) return;
      resized = true;
      terminal.setDimensions({ rows: 11, columns: 21 });
      terminal.handleInput("hello\r");
    });
    terminal.open({ rows: 10, columns: 20 });
    expect(await closed).toBe(4);
    expect(screen).toContain("got hello");
    expect(screen).toContain("11 21");
  });

  test("that is closed ends its process", async () => {
    const terminal = new RemotePseudoterminal(fakeVsCode, client, {
      argv: ["sleep", "1000"],
      processId: "shown",
    });
    const closed = new Promise((resolve) => terminal.onDidClose(resolve));
    terminal.open(undefined);
    terminal.close();
    await closed;
    await ended(client, "shown");
  });

  test("says why there is nothing to show", async () => {
    const terminal = new RemotePseudoterminal(fakeVsCode, client, { argv: ["/no/such"] });
    let screen = "";
    terminal.onDidWrite((text) => {
      screen += text;
    });
    const closed = new Promise((resolve) => terminal.onDidClose(resolve));
    terminal.open(undefined);
    expect(await closed).toBeUndefined();
    expect(screen).toContain("/no/such");
  });
});
