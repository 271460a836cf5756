// An MCP server on an executor, for the SDK's own client, over a connection that breaks.

import { Client as McpClient } from "@modelcontextprotocol/sdk/client/index.js";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Client, connect } from "../../src/index.js";
import { ExecutorTransport, type McpServerOptions } from "../../src/mcp.js";
import { ended } from "../support/ended.js";
import { FaultyProxy } from "../support/proxy.js";
import { TestServer } from "../support/server.js";

let server: TestServer;
let proxy: FaultyProxy;
let client: Client;

beforeEach(async () => {
  server = await TestServer.start();
  proxy = await FaultyProxy.start(server.port);
  client = await connect(proxy.url, { recoveryPauseMs: 5 });
});

afterEach(async () => {
  await client?.close();
  await proxy?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

const root = new URL("../../", import.meta.url).pathname;

/** A server with one tool, which says what it was told. */
const ECHO = `
  import { Server } from "@modelcontextprotocol/sdk/server/index.js";
  import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
  import { CallToolRequestSchema, ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
  const server = new Server({ name: "echo", version: "1" }, { capabilities: { tools: {} } });
  server.setRequestHandler(ListToolsRequestSchema, () => ({
    tools: [{ name: "echo", inputSchema: { type: "object" } }],
  }));
  server.setRequestHandler(CallToolRequestSchema, ({ params }) => ({
    content: [{ type: "text", text: params.arguments.text }],
  }));
  console.error("ready");
  await server.connect(new StdioServerTransport());
`;

function echo(onStderr?: (line: string) => void): ExecutorTransport {
  const argv = [process.execPath, "--input-type=module", "-e", ECHO];
  return new ExecutorTransport(client, { argv, cwd: root, ...(onStderr && { onStderr }) });
}

test("tools are called, however often the connection breaks, and the server ends with its client", async () => {
  const said: string[] = [];
  const mcp = new McpClient({ name: "test", version: "1" });
  await mcp.connect(echo((line) => said.push(line)));
  expect((await mcp.listTools()).tools.map(({ name }) => name)).toEqual(["echo"]);
  for (let n = 0; n < 10; n++) {
    const text = `${n}`.repeat(10_000);
    const called = mcp.callTool({ name: "echo", arguments: { text } });
    proxy.cut();
    expect(await called).toMatchObject({ content: [{ type: "text", text }] });
  }
  const closed = new Promise<void>((resolve) => {
    mcp.onclose = resolve;
  });
  await mcp.close();
  await closed;
  expect(said).toEqual(["ready"]);
  for (const { processId } of await client.process.list()) await ended(client, processId);
});

/** A transport that notes what it is told; `closed` resolves when it is over. */
function watched(options: McpServerOptions) {
  const transport = new ExecutorTransport(client, options);
  const errors: Error[] = [];
  const messages: unknown[] = [];
  transport.onerror = (error) => errors.push(error);
  transport.onmessage = (message) => messages.push(message);
  const closed = new Promise<void>((resolve) => {
    transport.onclose = resolve;
  });
  return { transport, errors, messages, closed };
}

test("a server that ends unasked, or says what is no message, is told as such", async () => {
  const script = `echo nonsense; echo 42; echo '{"jsonrpc":"2.0","method":"x"}'; echo out of memory >&2; exit 7`;
  const { transport, errors, messages, closed } = watched({ argv: ["sh", "-c", script] });
  await transport.start();
  await closed;
  expect(messages).toEqual([{ jsonrpc: "2.0", method: "x" }]);
  expect(errors).toMatchObject([{ kind: "protocol" }, { kind: "protocol" }, { kind: "closed" }]);
  expect(errors.map(({ message }) => message)).toEqual([
    expect.stringContaining("nonsense"),
    expect.stringContaining("42"),
    "the MCP server ended (exit code 7): out of memory",
  ]);
  await expect(transport.send({ jsonrpc: "2.0", method: "x" })).rejects.toMatchObject({ kind: "closed" });
  await expect(transport.start()).rejects.toMatchObject({ kind: "invalidArgument" });
});

test("what a listener throws ends nothing", async () => {
  const { transport, errors } = watched({ argv: ["cat"] });
  const second = new Promise<void>((resolve) => {
    let count = 0;
    transport.onmessage = () => {
      count += 1;
      if (count === 1) throw new Error("mine");
      resolve();
    };
  });
  await transport.start();
  await transport.send({ jsonrpc: "2.0", method: "first" });
  await transport.send({ jsonrpc: "2.0", method: "second" });
  await second;
  expect(errors).toMatchObject([{ message: "mine" }]);
  await transport.close();
});

test("a server that neither reads nor ends when it is asked to is ended all the same", async () => {
  const { transport, errors, closed } = watched({
    argv: [
      "sh",
      "-c",
      'trap \'\' TERM; echo \'{"jsonrpc":"2.0","method":"up"}\'; while :; do sleep 1000; done',
    ],
    processId: "stubborn",
    graceMs: 20,
  });
  const up = new Promise<void>((resolve) => {
    transport.onmessage = () => resolve();
  });
  await transport.start();
  await up;
  // More than every buffer between takes, so that its end has to overtake it.
  const written = Array.from({ length: 64 }, () =>
    transport.send({ jsonrpc: "2.0", method: "x", params: { text: "x".repeat(1 << 20) } }),
  );
  const outcomes = Promise.allSettled(written);
  await Promise.all([transport.close(), transport.close()]);
  await closed;
  await outcomes;
  await ended(client, "stubborn");
  expect(errors).toEqual([]);
});

test("one that is closed while it starts leaves nothing behind", async () => {
  const { transport, closed } = watched({ argv: ["cat"], processId: "early" });
  const starting = transport.start();
  await expect(transport.start()).rejects.toMatchObject({ kind: "invalidArgument" });
  await transport.close();
  await closed;
  await expect(starting).rejects.toMatchObject({ kind: "closed" });
  await ended(client, "early");
});

test("a client that is closed closes the transports over it, and says so", async () => {
  const { transport, errors, closed } = watched({ argv: ["cat"] });
  await transport.start();
  await client.close();
  await closed;
  expect(errors).toMatchObject([{ kind: "closed" }]);
});

test("a server that is not there rejects the start", async () => {
  const transport = new ExecutorTransport(client, { argv: ["/no/such"] });
  await expect(transport.start()).rejects.toMatchObject({ kind: "notFound" });
});
