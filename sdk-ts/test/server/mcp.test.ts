// An MCP server on an executor, for the SDK's own client, over a connection that breaks.

import { Client as McpClient } from "@modelcontextprotocol/sdk/client/index.js";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type Client, connect } from "../../src/index.js";
import { ExecutorTransport } from "../../src/mcp.js";
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

test("a server that ends, or says what is no message, is told as such", async () => {
  const transport = new ExecutorTransport(client, { argv: ["sh", "-c", "echo nonsense"] });
  const errors: Error[] = [];
  transport.onerror = (error) => errors.push(error);
  const closed = new Promise<void>((resolve) => {
    transport.onclose = resolve;
  });
  await transport.start();
  await closed;
  expect(errors.map(({ message }) => message)).toEqual([expect.stringContaining("nonsense")]);
  await expect(transport.send({ jsonrpc: "2.0", method: "x" })).rejects.toMatchObject({ kind: "closed" });
  await expect(transport.start()).rejects.toMatchObject({ kind: "invalidArgument" });
});

test("a server that is not there rejects the start", async () => {
  const transport = new ExecutorTransport(client, { argv: ["/no/such"] });
  await expect(transport.start()).rejects.toMatchObject({ kind: "notFound" });
});
