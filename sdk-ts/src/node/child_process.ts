// The essentials of `child_process.spawn`, on a server: for code that expects a `ChildProcess`.

import { EventEmitter } from "node:events";
import { Readable, Writable } from "node:stream";
import type { Client } from "../client.js";
import { ExecError } from "../errors.js";
import type { ProcessSignal } from "../generated/types.js";
import type { ProcessHandle } from "../process.js";
import type { StartOptions } from "../process_options.js";

/** What of `child_process`'s options has a meaning here, and what only a server knows. */
export interface SpawnOptions extends Partial<Omit<StartOptions, "argv" | "env" | "stdin" | "arg0">> {
  /** Laid over what the process inherits of the server's environment; `undefined` members are left out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What it sees as `argv[0]`. */
  readonly argv0?: string;
  /** Run by a shell: the server's login shell, or this one. */
  readonly shell?: boolean | string;
  /** Ends the process when it is aborted. */
  readonly signal?: AbortSignal;
}

type SignalName =
  | "SIGINT"
  | "SIGTERM"
  | "SIGKILL"
  | "SIGHUP"
  | "SIGQUIT"
  | "SIGSTOP"
  | "SIGCONT"
  | "SIGUSR1"
  | "SIGUSR2";

const SIGNALS: Readonly<Record<SignalName, ProcessSignal>> = {
  SIGINT: "interrupt",
  SIGTERM: "terminate",
  SIGKILL: "kill",
  SIGHUP: "hangup",
  SIGQUIT: "quit",
  SIGSTOP: "stop",
  SIGCONT: "continue",
  SIGUSR1: "usr1",
  SIGUSR2: "usr2",
};

/** Names of the signals that end processes, by Linux's numbers. */
const NAMES: Readonly<Record<number, string>> = {
  1: "SIGHUP",
  2: "SIGINT",
  3: "SIGQUIT",
  4: "SIGILL",
  5: "SIGTRAP",
  6: "SIGABRT",
  7: "SIGBUS",
  8: "SIGFPE",
  9: "SIGKILL",
  10: "SIGUSR1",
  11: "SIGSEGV",
  12: "SIGUSR2",
  13: "SIGPIPE",
  14: "SIGALRM",
  15: "SIGTERM",
  24: "SIGXCPU",
  25: "SIGXFSZ",
  31: "SIGSYS",
};

interface RemoteEvents {
  spawn: [];
  error: [error: Error];
  exit: [code: number | null, signal: string | null];
  close: [code: number | null, signal: string | null];
}

/**
 * A process on a server in the shape of a `ChildProcess`: streams, `kill`, and the events `spawn`, `error`, `exit` and
 * `close`. It has no `pid`, since that would be a number of another machine.
 */
export class RemoteChildProcess extends EventEmitter<RemoteEvents> {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
  readonly spawnargs: readonly string[];
  readonly spawnfile: string;
  exitCode: number | null = null;
  signalCode: string | null = null;
  killed = false;
  readonly #handle: Promise<ProcessHandle>;

  /** @internal */
  constructor(started: Promise<ProcessHandle>, argv: readonly string[]) {
    super();
    this.#handle = started;
    this.spawnargs = argv;
    this.spawnfile = argv[0] ?? "";
    this.stdin = this.#makeStdin();
    this.stdout = this.#makeOutput();
    this.stderr = this.#makeOutput();
    void this.#follow();
  }

  /** Sends a signal, by its name in Node; false if the process has ended, or there is no such signal. */
  kill(signal: NodeJS.Signals | number = "SIGTERM"): boolean {
    const name = typeof signal === "number" ? NAMES[signal] : signal;
    const known = SIGNALS[name as SignalName];
    if (known === undefined || this.exitCode !== null || this.signalCode !== null) return false;
    this.killed = true;
    this.#handle.then((handle) => handle.signal(known)).catch((error: Error) => this.#fail(error));
    return true;
  }

  #makeStdin(): Writable {
    const settle = (promise: Promise<unknown>, done: (error?: Error | null) => void): void => {
      promise.then(
        () => done(),
        (error: Error) =>
          done(error instanceof ExecError && error.kind === "stdinClosed" ? brokenPipe(error) : error),
      );
    };
    const stdin = new Writable({
      write: (chunk: Buffer, _encoding, done) =>
        settle(
          this.#handle.then((handle) => handle.write(chunk)),
          done,
        ),
      final: (done) =>
        settle(
          this.#handle.then((handle) => handle.closeStdin()),
          done,
        ),
    });
    // One that ended without reading everything is told by its exit; whoever wants to know listens.
    stdin.on("error", () => {});
    return stdin;
  }

  /** A stream that `#follow` fills; it is awaited where it is full. */
  #makeOutput(): Readable {
    return new Readable({
      read: () => this.#room?.(),
      destroy: (error, done) => {
        this.#room?.();
        done(error);
      },
    });
  }

  #room: (() => void) | undefined;

  async #follow(): Promise<void> {
    let handle: ProcessHandle;
    try {
      handle = await this.#handle;
    } catch (error) {
      this.stdout.push(null);
      this.stderr.push(null);
      this.stdin.destroy();
      this.#fail(error as Error);
      return;
    }
    this.emit("spawn");
    try {
      for await (const event of handle.events({ onGap: "fail" })) {
        if (event.type === "output")
          await this.#deliver(event.stream === "stderr" ? this.stderr : this.stdout, event.bytes);
        if (event.type !== "exited") continue;
        const signal = event.signal === undefined ? undefined : NAMES[event.signal];
        if (signal === undefined) this.exitCode = event.exitCode;
        else this.signalCode = signal;
        this.emit("exit", this.exitCode, this.signalCode);
      }
      this.stdout.push(null);
      this.stderr.push(null);
      this.stdin.destroy();
      this.emit("close", this.exitCode, this.signalCode);
    } catch (error) {
      for (const stream of [this.stdout, this.stderr, this.stdin]) stream.destroy(error as Error);
      this.#fail(error as Error);
    }
  }

  async #deliver(stream: Readable, bytes: Uint8Array): Promise<void> {
    // A stream that nobody reads any more takes everything.
    if (stream.destroyed || stream.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length))) return;
    await new Promise<void>((resolve) => {
      this.#room = resolve;
    });
    this.#room = undefined;
  }

  #fail(error: Error): void {
    // As a `ChildProcess` does: an error that nobody listens for is thrown.
    this.emit("error", error);
  }
}

function brokenPipe(cause: ExecError): Error {
  return Object.assign(new Error("write EPIPE", { cause }), { code: "EPIPE", syscall: "write" });
}

/**
 * Starts a program on a server, as `child_process.spawn` does here. Ending the returned object's `stdin` needs the flag
 * `processStdinClose`.
 */
export function spawn(
  client: Client,
  command: string,
  args: readonly string[] = [],
  options: SpawnOptions = {},
): RemoteChildProcess {
  const { shell = false, argv0, env, signal, ...rest } = options;
  const shellPath = typeof shell === "string" ? shell : client.server.shell.path;
  const argv = shell === false ? [command, ...args] : [shellPath, "-c", [command, ...args].join(" ")];
  const given = Object.entries(env ?? {}).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const started = client.process.start(
    {
      ...rest,
      argv,
      env: Object.fromEntries(given),
      stdin: "pipe",
      ...(argv0 !== undefined && { arg0: argv0 }),
    },
    { signal },
  );
  const child = new RemoteChildProcess(started, argv);
  const end = (): void => {
    started.then((handle) => handle.terminate()).catch(() => {});
  };
  signal?.addEventListener("abort", end, { once: true });
  const forget = (): void => signal?.removeEventListener("abort", end);
  child.once("close", forget);
  started.catch(forget);
  return child;
}
