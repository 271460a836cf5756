// Starting processes, exactly once whatever becomes of the connection meanwhile, and finding them again.

import { Feed } from "./core/feed.js";
import { afterLoss } from "./core/reconnect.js";
import { ExecError, refusal } from "./errors.js";
import type { ProcessStartParams, ProcessSummary } from "./generated/types.js";
import type { Paths } from "./paths.js";
import { type CallSignal, ProcessHandle } from "./process.js";
import { type StartOptions, startParams } from "./process_options.js";
import type { Output, OutputOptions } from "./process_output.js";
import type { Attached, Session } from "./rpc/session.js";
import { abortable } from "./rpc/timers.js";

/** A process to be run from its start to its close. */
export interface RunOptions extends StartOptions, OutputOptions {
  /** What it reads on stdin, which ends behind it. Without, stdin is empty. Flag `processStdinClose`. */
  readonly input?: string | Uint8Array;
}

/** `client.process`: the processes of a session. */
export class ProcessClient {
  readonly #session: Session;
  readonly #paths: Paths;

  /** @internal */
  constructor(session: Session, paths: Paths) {
    this.#session = session;
    this.#paths = paths;
  }

  /**
   * Starts a process; resolves once the server has confirmed it. Its events can be read from the first on.
   *
   * A server that knows request keys (flag `idempotentRequests`) is asked again when the connection was lost before the
   * answer. Of another it can't be known whether the process runs, so then it is ended and the start rejects with
   * `outcomeUnknown`. A start that is aborted is ended as well.
   */
  async start(options: StartOptions, { signal }: CallSignal = {}): Promise<ProcessHandle> {
    const { handle, started } = this.#begin(options, signal);
    await started;
    return handle;
  }

  /**
   * Runs a process: starts it, writes `input`, collects its output, waits for its close. One round trip on an open
   * connection. Aborting ends it with every descendant.
   */
  async run(options: RunOptions, { signal }: CallSignal = {}): Promise<Output> {
    const { input } = options;
    if (input !== undefined) this.#session.demand("processStdinClose");
    const { handle, started } = this.#begin(
      input === undefined ? options : { ...options, stdin: "pipe" },
      signal,
    );
    try {
      const output = handle.output({ ...options, signal });
      output.catch(() => {});
      const fed = input === undefined ? undefined : feedStdin(handle, input, signal);
      fed?.catch(() => {});
      await started;
      const whole = await output;
      // One that ended without having read everything is fine.
      await fed?.catch((error: unknown) => {
        const isFine =
          error instanceof ExecError && ["stdinClosed", "unknownProcess", "refused"].includes(error.kind);
        if (!isFine) throw error;
      });
      return whole;
    } finally {
      // One that came to its end is not asked about any more.
      const ending = handle[Symbol.asyncDispose]();
      if (signal?.aborted !== true) await ending;
    }
  }

  /**
   * Takes up a process that the session has: one that was detached, or that an earlier page or program started. Its events
   * begin behind `after` as far as the server retains them; what it does not is a gap.
   */
  async attach(
    processId: string,
    { after = 0, signal }: CallSignal & { readonly after?: number } = {},
  ): Promise<ProcessHandle> {
    const session = this.#session;
    if (session.router.feed(processId) !== undefined) {
      throw new ExecError("processExists", `process ${processId} is followed by this client already`, {
        hint: "use the handle that you have",
      });
    }
    const feed = this.#feed(processId, after);
    feed.beginAcknowledging();
    session.router.add(feed);
    const handle = new ProcessHandle(session, feed, after);
    try {
      const page = await session.page(processId, feed.beginRead(), signal);
      feed.started(true);
      const tip = Math.max(0, page.response.nextSeq - 1);
      if (page.response.chunks.length === 0 && tip < after) feed.beginAt(tip);
      else feed.caughtUp(page.response, page.whole);
      return handle;
    } catch (error) {
      handle.detach();
      if (error instanceof ExecError && error.kind === "unknownProcess") {
        throw new ExecError("unknownProcess", `unknown process id ${processId}`, {
          hint: "client.process.list() tells what the session has",
          cause: error,
        });
      }
      throw error;
    }
  }

  /** The session's processes, by their time of start. Flag `processList`. */
  async list({ signal }: CallSignal = {}): Promise<readonly ProcessSummary[]> {
    this.#session.demand("processList");
    return (await this.#session.call("process/list", null, { repeat: "always", signal })).processes;
  }

  #feed(processId: string, after: number): Feed<ExecError> {
    const { router, config } = this.#session;
    const feed: Feed<ExecError> = new Feed(processId, config.process, after, () => router.changed(feed));
    return feed;
  }

  /** Begins a start: the request leaves as soon as there is a connection, and what the handle is told comes behind it. */
  #begin(
    options: StartOptions,
    signal: AbortSignal | undefined,
  ): { handle: ProcessHandle; started: Promise<void> } {
    signal?.throwIfAborted();
    if (this.#session.state.status === "failed") throw this.#session.state.error;
    const params = startParams(options, this.#session, this.#paths);
    const feed = this.#feed(params.processId, 0);
    if (!this.#session.router.add(feed)) {
      throw new ExecError("processExists", `process ${params.processId} already exists`, {
        hint: "leave processId out, and one is made",
      });
    }
    const handle = new ProcessHandle(this.#session, feed, 0);
    // It is seen through whoever loses interest, and then cleaned up after.
    const settled = this.#settle(params, feed, signal);
    settled.then(
      () => {
        if (signal?.aborted === true && !feed.isOver)
          void this.#endQuietly(params).then(() => feed.abandon());
      },
      () => feed.abandon(),
    );
    const started = abortable(settled, signal);
    started.catch(() => {});
    return { handle, started };
  }

  async #settle(
    params: ProcessStartParams,
    feed: Feed<ExecError>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const session = this.#session;
    const repeat = params.requestKey === undefined ? "ifUnsent" : "always";
    let mayRun = false;
    let last: Attached | undefined;
    for (;;) {
      const attached = await session.connection(last);
      if (signal?.aborted === true) {
        // It is not started now for nobody, but it may have been before.
        if (mayRun) await this.#endQuietly(params);
        throw signal.reason;
      }
      const outcome = await session.callOver(attached, "process/start", params, undefined, (outcome) => {
        // Before anything that comes behind the answer, or another connection, is looked at.
        if (outcome.type === "result") feed.started(mayRun);
      });
      if (outcome.type === "result") return;
      if (outcome.type === "refused") throw startRefusal(params, outcome.error);
      mayRun ||= outcome.sent;
      if (afterLoss(repeat, outcome.sent) === "unknown") {
        const wasRunning = await this.#end(params);
        throw new ExecError(
          "outcomeUnknown",
          `connection was lost during the start of process ${params.processId}, which was ended (it ${wasRunning ? "was" : "was not"} running)`,
          { hint: "start it again if it may run twice" },
        );
      }
      last = attached;
    }
  }

  /** Ends a process that may have been started; tells whether it had been. */
  async #end({ processId, requestKey }: ProcessStartParams): Promise<boolean> {
    const params = { processId, ...(requestKey !== undefined && { requestKey }) };
    return (await this.#session.call("process/terminate", params, { repeat: "always" })).running;
  }

  /** As {@link ProcessClient.#end}, for nobody: a session that is gone ends what it has when its time is over. */
  async #endQuietly(params: ProcessStartParams): Promise<void> {
    await this.#end(params).catch(() => {});
  }
}

/** Writes everything that a process is to read. */
async function feedStdin(
  handle: ProcessHandle,
  input: string | Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  const written = input.length === 0 ? Promise.resolve() : handle.write(input, { signal });
  const closed = written.then(() => handle.closeStdin({ signal }));
  await closed;
}

function startRefusal(
  { processId, argv }: ProcessStartParams,
  error: Parameters<typeof refusal>[1],
): ExecError {
  const refused = refusal("process/start", error);
  return new ExecError(refused.kind, `process ${processId} (${argv[0]}) was not started: ${error.message}`, {
    code: refused.code,
    errno: refused.errno,
    data: refused.data,
    cause: refused,
  });
}
