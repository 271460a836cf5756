// What only Node can do: servers behind programs, and processes in the shape of `child_process`. Everything of the main
// entry is here, too.

import { type Client, type ConnectOptions, connectWith } from "./client.js";
import { type CommandOptions, dialCommand } from "./node/stdio.js";

export * from "./index.js";
export { RemoteChildProcess, type SpawnOptions, type Stdio, spawn } from "./node/child_process.js";
export { type CommandOptions, dialCommand } from "./node/stdio.js";

/** How to run a server here. */
export interface LocalOptions extends Omit<ConnectOptions, "token" | "WebSocket">, CommandOptions {
  /** The program. Default: `codex-exec-server` on the `PATH`. */
  readonly program?: string;
}

/**
 * Connects through a command whose stdin and stdout lead to a server, for example
 * `["ssh", "host", "codex-exec-server", "--listen", "stdio"]`. Such a server lives no longer than its connection, so neither
 * do its processes: where they are to survive a cut, connect to one that listens.
 */
export function connectCommand(
  argv: readonly string[],
  options: Omit<ConnectOptions, "token" | "WebSocket"> & CommandOptions = {},
): Promise<Client> {
  // What is wrong with the command rejects like everything else.
  return Promise.resolve().then(() => connectWith(dialCommand(argv, options), options));
}

/** Runs a server of one's own on this machine; it ends with the client. */
export function connectLocal({
  program = "codex-exec-server",
  ...options
}: LocalOptions = {}): Promise<Client> {
  return connectCommand([program, "--listen", "stdio"], options);
}
