// A handle on one remote process: its events, its streams, its stdin, its end.

import { encodeBase64 } from "./core/base64.js";
import type { Feed } from "./core/feed.js";
import type { Reader } from "./core/history.js";
import { ExecError } from "./errors.js";
import type { ExitStatus, ProcessEvent } from "./events.js";
import type {
  OutputStream,
  ProcessSignal,
  ProcessTerminateResponse,
  PtySize,
  WriteStatus,
} from "./generated/types.js";
import { collect, type Output, type OutputOptions } from "./process_output.js";
import { lines, outputStream } from "./process_streams.js";
import type { Session } from "./rpc/session.js";
import { exitedEvent, type FollowOptions, faultError, Subscription } from "./rpc/subscription.js";

/** What every call takes last. */
export interface CallSignal {
  /** Aborting rejects with its reason and forgets the call. */
  readonly signal?: AbortSignal | undefined;
}

/** How to read lines. */
export interface LineOptions extends CallSignal {
  /** Whose: stdout's or the terminal's (default), stderr's, or those of both as they come. */
  readonly stream?: "stdout" | "stderr" | "both";
  /** A longer line is an error of kind `outputTooLarge`. Default 16 Mi. */
  readonly maxChars?: number;
}

const encoder = new TextEncoder();

/**
 * A process of the client's session.
 *
 * ```ts
 * await using build = await client.process.start({ argv: ["make", "test"], cwd: "/srv/app" });
 * for await (const event of build) if (event.type === "output") screen.write(event.bytes);
 * ```
 *
 * Every method waits while the connection is being recovered, and fails when it does not come back. Disposing the handle
 * ends the process; {@link ProcessHandle.detach} lets it run on.
 */
export class ProcessHandle implements AsyncIterable<ProcessEvent>, AsyncDisposable {
  readonly #session: Session;
  readonly #feed: Feed<ExecError>;
  /** Where readers begin that do not say. */
  readonly #after: number;
  /** Keeps what the process says first until somebody reads it. */
  #place: Reader | undefined;
  /** Makes write ids unique among all who ever write to the process. */
  readonly #nonce = crypto.randomUUID();
  #writes = 0;
  /** Writes are sent one after the other: only so do they stay in order when they have to be sent again. */
  #lastWrite: Promise<unknown> = Promise.resolve();
  #isDisposed = false;
  #stdout: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  #stderr: ReadableStream<Uint8Array<ArrayBuffer>> | undefined;
  #stdin: WritableStream<Uint8Array | string> | undefined;
  #exited: Promise<ExitStatus> | undefined;

  /** @internal */
  constructor(session: Session, feed: Feed<ExecError>, after: number) {
    this.#session = session;
    this.#feed = feed;
    this.#after = after;
    this.#place = feed.subscribe(after, false, () => {});
  }

  /** Its name within the session; pass it to `client.process.attach` to find it again. */
  get id(): string {
    return this.#feed.id;
  }

  /** Its events, in order and each once. As {@link ProcessHandle.events} without options. */
  [Symbol.asyncIterator](): AsyncIterator<ProcessEvent, undefined> {
    return this.events();
  }

  /**
   * Its events behind `after`, at a pace of their own; any number of readers may follow. The subscription begins with this
   * call, and ends when the loop is left, at the close, or with an error, which is thrown once.
   */
  events(options: FollowOptions = {}): AsyncIterableIterator<ProcessEvent> {
    this.#check();
    const subscription = new Subscription(this.#session, this.#feed, { after: this.#after, ...options });
    this.#release();
    return subscription;
  }

  /** What it writes to stdout, or on its terminal. Errors with kind `gap` where output is gone. Made at the first use. */
  get stdout(): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.#stdout ??= outputStream((options) => this.events(options), ["stdout", "pty"]);
    return this.#stdout;
  }

  /** What it writes to stderr; nothing where it runs on a terminal. Errors with kind `gap` where output is gone. */
  get stderr(): ReadableStream<Uint8Array<ArrayBuffer>> {
    this.#stderr ??= outputStream((options) => this.events(options), ["stderr"]);
    return this.#stderr;
  }

  /** Its stdin as a stream; closing that ends stdin. */
  get stdin(): WritableStream<Uint8Array | string> {
    this.#stdin ??= new WritableStream<Uint8Array | string>({
      write: (chunk) => this.write(chunk),
      close: () => this.closeStdin(),
    });
    return this.#stdin;
  }

  /** Its lines of text, without their ends; the last one also without. What is no UTF-8 is replaced. */
  lines(options: LineOptions = {}): AsyncGenerator<string, void> {
    const { stream = "stdout", maxChars = 16 << 20, signal } = options;
    const wanted: readonly OutputStream[] = {
      stdout: ["stdout", "pty"] as const,
      stderr: ["stderr"] as const,
      both: ["stdout", "stderr", "pty"] as const,
    }[stream];
    return lines(this.events({ onGap: "fail", signal }), wanted, maxChars);
  }

  /** How it ended, once it did; output may still follow. Rejects if that can't be known any more. */
  get exited(): Promise<ExitStatus> {
    this.#exited ??= this.#waitForExit();
    // Whoever never asks is not to be told by an unhandled rejection.
    this.#exited.catch(() => {});
    return this.#exited;
  }

  /**
   * Reads everything until the close. Rejects with kind `gap` where output is gone, unless `onGap` is `tell`, and with
   * `outputTooLarge` beyond `maxBytes`.
   */
  async output(options: OutputOptions & CallSignal = {}): Promise<Output> {
    const { onGap = "fail", signal } = options;
    return collect(this.events({ onGap, signal }), options);
  }

  /**
   * Writes to stdin, in the order of the calls, each exactly once however often the connection breaks. Resolves when the
   * server has taken the bytes, which it does while its own queue has room; so waiting for it is what keeps pace.
   */
  async write(data: Uint8Array | string, { signal }: CallSignal = {}): Promise<void> {
    this.#check();
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    const maxBytes = this.#session.peer.limits?.inboundFrameBytes ?? 16 << 20;
    // Base64, and some room for what stands around it.
    const step = Math.max(1, Math.floor(((Math.min(maxBytes, 1 << 20) - 4096) / 4) * 3));
    for (let at = 0; at === 0 || at < bytes.length; at += step) {
      const chunk = encodeBase64(bytes.subarray(at, at + step));
      await this.#inTurn((writeId) =>
        this.#session.call(
          "process/write",
          { processId: this.id, chunk, writeId },
          this.#call("always", signal),
        ),
      );
    }
  }

  /**
   * Ends stdin behind everything that was written. A terminal, which has no end of its own, gets its end-of-file character.
   * Flag `processStdinClose`.
   */
  async closeStdin({ signal }: CallSignal = {}): Promise<void> {
    this.#check();
    this.#session.demand("processStdinClose");
    await this.#inTurn((writeId) =>
      this.#session.call("process/closeStdin", { processId: this.id, writeId }, this.#call("always", signal)),
    );
  }

  /** Changes the size of its terminal. Flag `processResize`. */
  async resize({ rows, cols }: PtySize, { signal }: CallSignal = {}): Promise<void> {
    this.#check();
    this.#session.demand("processResize");
    await this.#session.call(
      "process/resize",
      { processId: this.id, rows, cols },
      this.#call("always", signal),
    );
  }

  /** Sends a signal to its group. All but `interrupt` need the flag `processSignals`. Unknown and dead ones are fine. */
  async signal(name: ProcessSignal, { signal }: CallSignal = {}): Promise<void> {
    this.#check();
    if (name !== "interrupt") this.#session.demand("processSignals");
    await this.#session.call(
      "process/signal",
      { processId: this.id, signal: name },
      this.#call("ifUnsent", signal),
    );
  }

  /**
   * Ends the process and every descendant. With `graceMs`, which needs the flag `processTerminateGrace`, they get SIGTERM
   * first and that much time. `survivors`, where the server tells, is 0 when the kill is complete.
   */
  async terminate(
    options: CallSignal & { readonly graceMs?: number } = {},
  ): Promise<ProcessTerminateResponse> {
    this.#check();
    return this.#terminate(options);
  }

  /** Lets go of the handle; the process runs on in the session. Subscriptions end. */
  detach(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#release();
    this.#feed.abandon();
  }

  /** Ends the process with every descendant, unless it was closed already, and lets go of it. Never rejects. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#release();
    if (!this.#feed.isOver && !this.#session.peer.isObserver) {
      // Where that can't be said any more, the session's time is over some day, and the process's with it.
      await this.#terminate({}).catch(() => {});
    }
    this.#feed.abandon();
  }

  async #terminate({
    graceMs,
    signal,
  }: CallSignal & { readonly graceMs?: number }): Promise<ProcessTerminateResponse> {
    if (graceMs !== undefined) this.#session.demand("processTerminateGrace");
    const params = { processId: this.id, ...(graceMs !== undefined && { graceMs }) };
    try {
      return await this.#session.call("process/terminate", params, this.#call("always", signal));
    } catch (error) {
      if (error instanceof ExecError && error.kind === "unknownProcess") return { running: false };
      throw error;
    }
  }

  #check(): void {
    if (this.#isDisposed) {
      throw new ExecError("disposed", `the handle of process ${this.id} was disposed or detached`, {
        hint: "client.process.attach gives another one while the server knows the process",
      });
    }
  }

  /** Somebody reads, or nobody ever will. */
  #release(): void {
    if (this.#place === undefined) return;
    this.#feed.unsubscribe(this.#place);
    this.#place = undefined;
  }

  #call(repeat: "always" | "ifUnsent", signal: AbortSignal | undefined) {
    return { repeat, signal, holds: () => !this.#session.router.isSuperseded(this.#feed) };
  }

  /** Sends a write behind those before it. One that was given up is waited for no longer, but its order stays. */
  async #inTurn(send: (writeId: string) => Promise<{ readonly status: WriteStatus }>): Promise<void> {
    const before = this.#lastWrite;
    const writeId = `${this.#nonce}-${++this.#writes}`;
    const answer = before.then(() => send(writeId));
    this.#lastWrite = answer.catch(() => {});
    const { status } = await answer;
    switch (status) {
      case "accepted":
        return;
      case "stdinClosed":
        throw new ExecError("stdinClosed", `stdin of process ${this.id} is closed`, {
          hint: 'start it with stdin: "pipe" to write to it',
        });
      case "unknownProcess":
      case "starting":
        throw new ExecError("unknownProcess", `unknown process id ${this.id}`);
    }
  }

  #waitForExit(): Promise<ExitStatus> {
    const feed = this.#feed;
    return new Promise((resolve, reject) => {
      const look = (): boolean => {
        if (feed.exit !== undefined) {
          const { type: _type, seq: _seq, ...status } = exitedEvent(feed.exit.seq, feed.exit.exit);
          resolve(status);
        } else if (feed.isOver) {
          const gone = new ExecError(
            "disposed",
            `the handle of process ${feed.id} was let go before it exited`,
          );
          reject(feed.fault === undefined ? gone : faultError(feed.id, feed.fault));
        } else return false;
        return true;
      };
      if (look()) return;
      const unwatch = feed.watch(() => {
        if (look()) unwatch();
      });
    });
  }
}
