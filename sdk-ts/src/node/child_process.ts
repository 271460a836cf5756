// The essentials of `child_process.spawn`, on a server: for code that expects a `ChildProcess`.

import { EventEmitter } from "node:events";
import { Readable, Writable } from "node:stream";
import type { Client } from "../client.js";
import { type ExecError, isExecError } from "../errors.js";
import type { OutputStream, ProcessSignal } from "../generated/types.js";
import type { ProcessHandle } from "../process.js";
import type { StartOptions } from "../process_options.js";

/** Where a stream leads, as in `child_process`: to a stream here, to nowhere, or to this program's own. */
export type Stdio = "pipe" | "ignore" | "inherit";

/** What of `child_process`'s options has a meaning here, and what only a server knows. */
export interface SpawnOptions extends Partial<Omit<StartOptions, "argv" | "env" | "stdin" | "arg0">> {
  /** Laid over what the process inherits of the server's environment; `undefined` members are left out. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What it sees as `argv[0]`. */
  readonly argv0?: string;
  /** Run by a shell: the server's login shell, or this one. */
  readonly shell?: boolean | string;
  /** Where stdin, stdout and stderr lead. Default `pipe`. Those that lead elsewhere have ended as streams of the child. */
  readonly stdio?: Stdio | readonly [stdin?: Stdio, stdout?: Stdio, stderr?: Stdio];
  /** Ends the process, with every descendant, when it is aborted; that is also told as an `AbortError`. */
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
    this.stdin = stdinOf(started, (error) => this.#fail(error));
    // Each at its own pace: one that nobody reads holds up neither the other nor the news of the exit.
    this.stdout = outputOf(started, ["stdout", "pty"]);
    this.stderr = outputOf(started, ["stderr"]);
    void this.#follow();
  }

  /**
   * Sends a signal, by its name in Node or its number on Linux; 0 only asks whether the process runs. False if it has ended,
   * or the server knows no such signal.
   */
  kill(signal: NodeJS.Signals | number = "SIGTERM"): boolean {
    const hasEnded = this.exitCode !== null || this.signalCode !== null;
    if (signal === 0) return !hasEnded;
    const name = typeof signal === "number" ? NAMES[signal] : signal;
    const known = SIGNALS[name as SignalName];
    if (known === undefined || hasEnded) return false;
    this.killed = true;
    this.#handle.then(
      (handle) => handle.signal(known).catch((error: Error) => this.#fail(error)),
      // That it was never started is told already.
      () => {},
    );
    return true;
  }

  async #follow(): Promise<void> {
    let handle: ProcessHandle;
    try {
      handle = await this.#handle;
    } catch (error) {
      for (const stream of [this.stdin, this.stdout, this.stderr]) stream.destroy();
      this.#fail(asSpawnError(error as Error, this.spawnargs));
      return;
    }
    this.emit("spawn");
    try {
      const { exitCode, signal } = await handle.exited;
      const name = signal === undefined ? undefined : NAMES[signal];
      if (name === undefined) this.exitCode = exitCode;
      else this.signalCode = name;
      this.emit("exit", this.exitCode, this.signalCode);
    } catch (error) {
      for (const stream of [this.stdin, this.stdout, this.stderr]) stream.destroy();
      this.#fail(error as Error);
      return;
    }
    setImmediate(() => this.#drain());
    await Promise.all([closeOf(this.stdout), closeOf(this.stderr)]);
    this.stdin.destroy();
    const lost = [this.stdout.errored, this.stderr.errored].find((error) => isExecError(error));
    if (lost !== undefined) this.#fail(lost as Error);
    this.emit("close", this.exitCode, this.signalCode);
  }

  /** As in Node: what nobody has begun to read when the process is gone keeps nobody waiting for the close. */
  #drain(): void {
    for (const stream of [this.stdout, this.stderr]) {
      if (stream.readableFlowing === null && stream.listenerCount("readable") === 0) stream.destroy();
    }
  }

  #fail(error: Error): void {
    // As a `ChildProcess` does: an error that nobody listens for is thrown.
    this.emit("error", error);
  }
}

/** A process's stdin. `fail` is told where it can't be ended, since the process would wait for ever. */
function stdinOf(started: Promise<ProcessHandle>, fail: (error: Error) => void): Writable {
  const act = (
    done: (error?: Error | null) => void,
    send: (handle: ProcessHandle) => Promise<void>,
  ): void => {
    started.then(send).then(
      () => done(),
      (error: Error) => {
        if (isExecError(error, "unsupported")) fail(error);
        done(isExecError(error, "stdinClosed") ? brokenPipe(error) : error);
      },
    );
  };
  const stdin = new Writable({
    write: (chunk: Buffer, _encoding, done) => act(done, (handle) => handle.write(chunk)),
    final: (done) => act(done, (handle) => handle.closeStdin()),
  });
  // One that ended without reading everything is told by its exit; whoever wants to know listens.
  stdin.on("error", () => {});
  return stdin;
}

/** Some streams of a process, read as far as somebody reads here. */
function outputOf(started: Promise<ProcessHandle>, wanted: readonly OutputStream[]): Readable {
  // From the first event on, whenever somebody begins to read.
  const events = started.then((handle) => handle.events({ onGap: "fail" }));
  events.catch(() => {});
  const next = async (): Promise<Buffer | null> => {
    const source = await events;
    for (;;) {
      const { done, value: event } = await source.next();
      if (done) return null;
      if (event.type === "output" && wanted.includes(event.stream))
        return Buffer.from(event.bytes.buffer, event.bytes.byteOffset, event.bytes.length);
    }
  };
  const output = new Readable({
    read() {
      next().then(
        (chunk) => this.push(chunk),
        (error: Error) => this.destroy(error),
      );
    },
    destroy(error, done) {
      events.then((source) => source.return?.()).catch(() => {});
      done(error);
    },
  });
  // Why there is no more is told by the child; whoever wants to know where it was lost listens.
  output.on("error", () => {});
  return output;
}

/** Resolves when a stream is closed, or was. */
function closeOf(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed) resolve();
    else stream.once("close", () => resolve());
  });
}

function brokenPipe(cause: ExecError): Error {
  return Object.assign(new Error("write EPIPE", { cause }), { code: "EPIPE", syscall: "write" });
}

/** A failed start as `child_process` tells it, where the system has a name for it; `kind` is that of its cause. */
function asSpawnError(error: Error, spawnargs: readonly string[]): Error {
  if (!isExecError(error) || error.errno === undefined) return error;
  const [path = ""] = spawnargs;
  const syscall = `spawn ${path}`;
  return Object.assign(new Error(`${syscall} ${error.errno}: ${error.message}`, { cause: error }), {
    kind: error.kind,
    code: error.errno,
    syscall,
    path,
    spawnargs: spawnargs.slice(1),
  });
}

/** As Node's. */
function abortError(cause: unknown): Error {
  const error = new Error("The operation was aborted", { cause });
  return Object.assign(error, { name: "AbortError", code: "ABORT_ERR" });
}

/** Leads the streams of `child` where the caller wants them. */
function connectStdio(child: RemoteChildProcess, [stdin, stdout, stderr]: readonly Stdio[]): void {
  if (stdin === "ignore") child.stdin.destroy();
  else if (stdin === "inherit") {
    process.stdin.pipe(child.stdin);
    // Otherwise it would be read on, and keep this program alive.
    child.stdin.once("close", () => process.stdin.unpipe(child.stdin).pause());
  }
  for (const [kind, stream, own] of [
    [stdout, child.stdout, process.stdout],
    [stderr, child.stderr, process.stderr],
  ] as const) {
    if (kind === "inherit") stream.pipe(own, { end: false });
    else if (kind === "ignore") stream.destroy();
  }
}

/**
 * Starts a program on a server, as `child_process.spawn` does here. Ending the returned object's `stdin` needs the flag
 * `processStdinClose`; without it, pass `stdio: ["ignore"]` for a program that reads to the end.
 *
 * ```ts
 * const child = spawn(client, "make", ["test"], { cwd: "/srv/app", stdio: ["ignore", "pipe", "inherit"] });
 * for await (const chunk of child.stdout) report.write(chunk);
 * const [code] = await once(child, "close");
 * ```
 */
export function spawn(
  client: Client,
  command: string,
  args: readonly string[] = [],
  options: SpawnOptions = {},
): RemoteChildProcess {
  const { shell = false, argv0, env, signal, stdio = "pipe", ...rest } = options;
  const [stdin = "pipe", stdout = "pipe", stderr = "pipe"] =
    typeof stdio === "string" ? [stdio, stdio, stdio] : stdio;
  const shellPath = typeof shell === "string" ? shell : client.server.shell.path;
  const argv = shell === false ? [command, ...args] : [shellPath, "-c", [command, ...args].join(" ")];
  const given = Object.entries(env ?? {}).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  const start: StartOptions = {
    ...rest,
    argv,
    env: Object.fromEntries(given),
    stdin: stdin === "ignore" ? "none" : "pipe",
    ...(argv0 !== undefined && { arg0: argv0 }),
  };
  const started = client.process.start(start, { signal }).catch((error: unknown) => {
    throw signal?.aborted === true && error === signal.reason ? abortError(error) : error;
  });
  const child = new RemoteChildProcess(started, argv);
  connectStdio(child, [stdin, stdout, stderr]);
  const aborted = (): void => {
    started.then(
      (handle) => {
        handle.terminate().catch(() => {});
        child.emit("error", abortError(signal?.reason));
      },
      // That is told as the failure of the start.
      () => {},
    );
  };
  signal?.addEventListener("abort", aborted, { once: true });
  const forget = (): void => signal?.removeEventListener("abort", aborted);
  child.once("close", forget);
  started.catch(forget);
  return child;
}
