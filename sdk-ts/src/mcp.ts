// A transport for `@modelcontextprotocol/sdk` that runs a stdio MCP server on an executor. The SDK is needed for its types
// alone.
//
// What makes a process survive a cut makes the server survive it. A hole in what it said is its end, told as such: nobody
// could say which message was in it.

import type { Transport } from "@modelcontextprotocol/sdk/shared/transport.js";
import type { JSONRPCMessage } from "@modelcontextprotocol/sdk/types.js";
import type { Client } from "./client.js";
import { isObject } from "./core/message.js";
import { ExecError } from "./errors.js";
import type { ExitStatus } from "./events.js";
import type { ProcessHandle } from "./process.js";
import type { StartOptions } from "./process_options.js";

/** How to run the MCP server. */
export interface McpServerOptions extends Omit<StartOptions, "tty" | "stdin"> {
  /** Told what the server writes to stderr, line by line. */
  readonly onStderr?: (line: string) => void;
  /** How long the server may take to end by itself once its stdin has, and again once it got SIGTERM. Default 2 s. */
  readonly graceMs?: number;
}

/** Longest message that is taken. */
const MAX_MESSAGE_CHARS = 64 << 20;
/** What of the server's complaints is told when it ends unasked. */
const MAX_WORDS = 2000;

/**
 * An MCP server that runs on an executor. It ends with the MCP client that uses it.
 *
 * ```ts
 * const mcp = new Client({ name: "editor", version: "1" });
 * await mcp.connect(new ExecutorTransport(client, { argv: ["my-mcp-server"] }));
 * ```
 *
 * `onerror` is told of lines that are no message, of what a listener throws, and why a server ended that was not asked to.
 */
export class ExecutorTransport implements Transport, AsyncDisposable {
  onclose?: () => void;
  onerror?: (error: Error) => void;
  onmessage?: (message: JSONRPCMessage) => void;
  readonly #client: Client;
  readonly #options: McpServerOptions;
  #isStarted = false;
  #handle: ProcessHandle | undefined;
  /** Its end was asked for. */
  #ending: Promise<void> | undefined;
  #isOver = false;
  /** The last that it wrote to stderr. */
  #words = "";

  constructor(client: Client, options: McpServerOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** Starts the server. Called by the MCP client. */
  async start(): Promise<void> {
    if (this.#isStarted || this.#isOver) {
      throw new ExecError("invalidArgument", "this MCP server was started already", {
        hint: "make a new transport",
      });
    }
    this.#isStarted = true;
    const { onStderr: _onStderr, graceMs: _graceMs, ...options } = this.#options;
    const handle = await this.#client.process.start({ ...options, stdin: "pipe" });
    if (this.#isOver) {
      await handle[Symbol.asyncDispose]();
      throw new ExecError("closed", "the transport was closed before the MCP server had started");
    }
    this.#handle = handle;
    void this.#run(handle);
  }

  /** Sends one message, in the order of the calls. Resolves when the executor has taken it. */
  async send(message: JSONRPCMessage): Promise<void> {
    if (this.#handle === undefined || this.#ending !== undefined || this.#isOver) {
      throw new ExecError("closed", "the MCP server is not running", { hint: "start a new one" });
    }
    await this.#handle.write(`${JSON.stringify(message)}\n`);
  }

  /** Ends the server: its stdin, after a while SIGTERM, after another while everything that is left of it. */
  close(): Promise<void> {
    this.#ending ??= this.#end();
    return this.#ending;
  }

  /** As {@link ExecutorTransport.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #end(): Promise<void> {
    const handle = this.#handle;
    if (handle !== undefined && !this.#isOver) {
      const { graceMs = 2000 } = this.#options;
      const ended = handle.exited.then(
        () => true,
        () => true,
      );
      // Comes behind what is still being written, which a server that does not read never takes.
      const refused = handle.closeStdin().then(
        () => ended,
        () => false,
      );
      if (!(await within(graceMs, Promise.race([ended, refused])))) await this.#terminate(handle, graceMs);
      await handle[Symbol.asyncDispose]();
    }
    this.#finish();
  }

  async #terminate(handle: ProcessHandle, graceMs: number): Promise<void> {
    // Where the executor knows no grace, disposing ends it at once.
    if (this.#client.supports("processTerminateGrace")) await handle.terminate({ graceMs }).catch(() => {});
  }

  /** Passes on what the server says, to its end. */
  async #run(handle: ProcessHandle): Promise<void> {
    const words = this.#readWords(handle).catch(() => {});
    const failure = await this.#readMessages(handle).then(
      () => undefined,
      (error: Error) => error,
    );
    // Behind a hole in what it said nothing can be understood.
    if (failure !== undefined) await handle[Symbol.asyncDispose]();
    await words;
    if (this.#ending === undefined) this.#tell(failure ?? (await this.#endOf(handle)));
    await handle[Symbol.asyncDispose]();
    this.#finish();
  }

  async #readMessages(handle: ProcessHandle): Promise<void> {
    for await (const line of handle.lines({ maxChars: MAX_MESSAGE_CHARS }))
      if (line.trim() !== "") this.#take(line);
  }

  async #readWords(handle: ProcessHandle): Promise<void> {
    for await (const line of handle.lines({ stream: "stderr" })) {
      this.#words = `${this.#words}${line}\n`.slice(-MAX_WORDS);
      this.#guard(() => this.#options.onStderr?.(line));
    }
  }

  #take(line: string): void {
    let message: unknown;
    try {
      message = JSON.parse(line);
    } catch {
      // Told below.
    }
    if (isObject(message) && message["jsonrpc"] === "2.0")
      this.#guard(() => this.onmessage?.(message as JSONRPCMessage));
    else this.#tell(notAMessage(line));
  }

  /** Why it ended, which nobody had asked for. */
  async #endOf(handle: ProcessHandle): Promise<ExecError> {
    const how = await handle.exited.then(
      ({ exitCode }: ExitStatus) => `exit code ${exitCode}`,
      () => "nobody knows how",
    );
    const words = this.#words.trim();
    return new ExecError("closed", `the MCP server ended (${how})${words === "" ? "" : `: ${words}`}`);
  }

  /** What a listener throws is the listener's, and ends nothing here. */
  #guard(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.#tell(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #tell(error: Error): void {
    this.onerror?.(error);
  }

  #finish(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.onclose?.();
  }
}

function notAMessage(line: string): ExecError {
  const start = JSON.stringify(line.slice(0, 200));
  return new ExecError("protocol", `the MCP server wrote a line that is no JSON-RPC message: ${start}`, {
    hint: "what is for people belongs on its stderr",
  });
}

/** What `promise` comes to within `ms`, otherwise false. */
async function within(ms: number, promise: Promise<boolean>): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  const came = await Promise.race([promise, late]);
  clearTimeout(timer);
  return came;
}
