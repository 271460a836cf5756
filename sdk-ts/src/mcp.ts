// A transport for `@modelcontextprotocol/sdk` that runs a stdio MCP server on an executor. The SDK is needed for its types
// alone.
//
// What makes a process survive a cut makes the server survive it. A hole in what it said is its end, told as such: nobody
// could say which message was in it.

import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { Client } from "./client.js";
import { ExecError } from "./errors.js";
import type { ProcessHandle } from "./process.js";
import type { StartOptions } from "./process_options.js";

/** How to run the MCP server. */
export interface McpServerOptions extends Omit<StartOptions, "tty" | "stdin"> {
  /** Told what the server writes to stderr, line by line. */
  readonly onStderr?: (line: string) => void;
  /** How long the server may take to end by itself once its stdin has. Default 2 s. */
  readonly graceMs?: number;
}

/** Longest message that is taken. */
const MAX_MESSAGE_CHARS = 64 << 20;

/**
 * An MCP server that runs on an executor.
 *
 * ```ts
 * const mcp = new Client({ name: "editor", version: "1" });
 * await mcp.connect(new ExecutorTransport(client, { argv: ["my-mcp-server"] }));
 * ```
 */
export class ExecutorTransport implements Transport {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #client: Client;
  readonly #options: McpServerOptions;
  #handle: ProcessHandle | undefined;
  #isOver = false;

  constructor(client: Client, options: McpServerOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Starts the server. Called by the MCP client. */
  async start(): Promise<void> {
    if (this.#handle !== undefined || this.#isOver) {
      throw new ExecError("invalidArgument", "this MCP server was started already", {
        hint: "make a new transport",
      });
    }
    const { onStderr, graceMs: _graceMs, ...options } = this.#options;
    const handle = await this.#client.process.start({ ...options, stdin: "pipe" });
    this.#handle = handle;
    void this.#read(handle);
    if (onStderr !== undefined) void readStderr(handle, onStderr);
  }

  /** Sends one message, in the order of the calls. */
  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#handle === undefined || this.#isOver) {
      throw new ExecError("closed", "the MCP server is not running", { hint: "start a new one" });
    }
    await this.#handle.write(`${JSON.stringify(message)}\n`);
  }

  /** Ends the server: its stdin, and after a while what is left of it. */
  async close(): Promise<void> {
    const handle = this.#handle;
    if (handle === undefined || this.#isOver) return this.#finish();
    const { graceMs = 2000 } = this.#options;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await handle.closeStdin().catch(() => {});
    await Promise.race([handle.exited.catch(() => {}), patience]);
    clearTimeout(timer);
    await handle[Symbol.asyncDispose]();
    this.#finish();
  }

  async #read(handle: ProcessHandle): Promise<void> {
    try {
      for await (const line of handle.lines({ maxChars: MAX_MESSAGE_CHARS }))
        if (line.trim() !== "") this.#take(line);
    } catch (error) {
      if (!this.#isOver) this.onerror?.(error as Error);
    }
    await handle[Symbol.asyncDispose]();
    this.#finish();
  }

  #take(line: string): void {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch (cause) {
      this.onerror?.(
        new Error(`the MCP server wrote a line that is no message: ${line.slice(0, 200)}`, { cause }),
      );
      return;
    }
    this.onmessage?.(message as JSONRPCMessage);
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onclose?.();
  }
}

async function readStderr(handle: ProcessHandle, tell: (line: string) => void): Promise<void> {
  try {
    for await (const line of handle.lines({ stream: "stderr" })) tell(line);
  } catch {
    // Why it ended is told by what reads its messages.
  }
}
