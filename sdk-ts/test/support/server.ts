// The real server program, for tests: `CODEX_EXEC_SERVER_BIN`, or the debug build of this tree.

import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";

/** Path of the program. Fails with what to do if there is none. */
export function serverProgram(): string {
  const given = process.env["CODEX_EXEC_SERVER_BIN"];
  const path = given ?? new URL("../../../codex-rs/target/debug/codex-exec-server", import.meta.url).pathname;
  if (!existsSync(path)) {
    throw new Error(
      `there is no ${path}: build it (cargo build -p codex-exec-server) or set CODEX_EXEC_SERVER_BIN`,
    );
  }
  return path;
}

/** The reference's program, where there is one. */
export const referenceProgram = process.env["CODEX_REFERENCE_BIN"];

/** A server of its own. */
export class TestServer implements AsyncDisposable {
  readonly url: string;
  readonly #child: ChildProcess;

  private constructor(url: string, child: ChildProcess) {
    this.url = url;
    this.#child = child;
  }

  /** Starts the program with `args` on any port and waits until it says which. `env` is laid over that of the tests. */
  static async start(
    args: readonly string[] = [],
    {
      program = serverProgram(),
      env = {},
    }: { readonly program?: string; readonly env?: NodeJS.ProcessEnv } = {},
  ): Promise<TestServer> {
    const child = spawn(program, [...args, "--listen", "ws://127.0.0.1:0"], {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, CODEX_EXEC_SERVER_LOG: "error", ...env },
    });
    const url = await new Promise<string>((resolve, reject) => {
      createInterface({ input: child.stdout }).once("line", resolve);
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the server ended (${code}) before it listened`)));
    });
    return new TestServer(url, child);
  }

  /** The reference's server. */
  static reference(program: string): Promise<TestServer> {
    return TestServer.start(["exec-server"], { program });
  }

  /** The program's own process. */
  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  /** Ends it so that it ends what it runs. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.#end("SIGTERM");
  }

  /** Ends it without a word, as a crash does. What it ran is left behind: it should end with its stdin. */
  crash(): Promise<void> {
    return this.#end("SIGKILL");
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => {
      this.#child.once("exit", () => resolve());
    });
    this.#child.kill(signal);
    await ended;
  }
}
