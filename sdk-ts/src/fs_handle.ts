// An open file: blocks, and streams made of them. It lives no longer than its connection, which is told as such.

import { encodeBase64 } from "./core/base64.js";
import { ExecError, refusal } from "./errors.js";
import { bytesOf } from "./fs.js";
import { MAX_BLOCK_BYTES } from "./generated/constants.js";
import type { ClientRequestMethod, ClientRequests } from "./generated/methods.js";
import type { FsOpenParams } from "./generated/types.js";
import type { CallSignal } from "./process.js";
import type { Attached, Session } from "./rpc/session.js";

/** Blocks of a stream: large enough to cost few round trips, small enough to let others through. */
const STREAM_BLOCK_BYTES = 256 << 10;

let lastId = 0;

/** See the head of the file. Made by `client.fs.open`. */
export class FileHandle implements AsyncDisposable {
  readonly #session: Session;
  readonly #attached: Attached;
  readonly #handleId: string;
  #isClosed = false;

  private constructor(session: Session, attached: Attached, handleId: string) {
    this.#session = session;
    this.#attached = attached;
    this.#handleId = handleId;
  }

  /** @internal */
  static async open(
    session: Session,
    params: Omit<FsOpenParams, "handleId">,
    signal: AbortSignal | undefined,
  ): Promise<FileHandle> {
    const handleId = `sdk-${++lastId}`;
    const attached = await session.connection(undefined, signal);
    const handle = new FileHandle(session, attached, handleId);
    try {
      await handle.#call("fs/open", { handleId, ...params }, signal);
      return handle;
    } catch (error) {
      // It may be open although nobody wants it any more.
      if (signal?.aborted === true) void handle.close().catch(() => {});
      throw error;
    }
  }

  /** Reads `length` bytes from `offset` on, 1 MiB at most; fewer only at the end, none beyond it. */
  async read(offset: number, length: number, { signal }: CallSignal = {}): Promise<Uint8Array<ArrayBuffer>> {
    const params = { handleId: this.#handleId, offset, len: length };
    return bytesOf("fs/readBlock", (await this.#call("fs/readBlock", params, signal)).chunk);
  }

  /** Writes bytes at `offset`, however many. */
  async write(offset: number, bytes: Uint8Array, { signal }: CallSignal = {}): Promise<void> {
    for (let at = 0; at < bytes.length; at += MAX_BLOCK_BYTES) {
      const chunk = encodeBase64(bytes.subarray(at, at + MAX_BLOCK_BYTES));
      await this.#call("fs/writeBlock", { handleId: this.#handleId, offset: offset + at, chunk }, signal);
    }
  }

  /** Closes it. Once more is fine, and so is a connection that is gone. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    const { link } = this.#attached;
    const closing = link.isOver ? undefined : this.#call("fs/close", { handleId: this.#handleId }, undefined);
    this.#isClosed = true;
    await closing?.catch((error: unknown) => {
      if (!(error instanceof ExecError) || error.kind !== "disconnected") throw error;
    });
  }

  /** As {@link FileHandle.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** @internal */
  static readable(
    open: () => Promise<FileHandle>,
    options: CallSignal,
  ): ReadableStream<Uint8Array<ArrayBuffer>> {
    let handle: FileHandle | undefined;
    let offset = 0;
    return new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        async pull(controller) {
          handle ??= await open();
          const bytes = await orClose(handle, handle.read(offset, STREAM_BLOCK_BYTES, options));
          offset += bytes.length;
          if (bytes.length > 0) controller.enqueue(bytes);
          if (bytes.length < STREAM_BLOCK_BYTES) {
            await handle.close();
            controller.close();
          }
        },
        async cancel() {
          await handle?.close();
        },
      },
      { highWaterMark: 0 },
    );
  }

  /** @internal */
  static writable(open: () => Promise<FileHandle>, options: CallSignal): WritableStream<Uint8Array | string> {
    let handle: FileHandle | undefined;
    let offset = 0;
    return new WritableStream<Uint8Array | string>({
      async start() {
        handle = await open();
      },
      async write(chunk) {
        if (handle === undefined) return;
        const bytes = typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
        await orClose(handle, handle.write(offset, bytes, options));
        offset += bytes.length;
      },
      async close() {
        await handle?.close();
      },
      async abort() {
        await handle?.close();
      },
    });
  }

  async #call<M extends ClientRequestMethod>(
    method: M,
    params: ClientRequests[M]["params"],
    signal: AbortSignal | undefined,
  ): Promise<ClientRequests[M]["response"]> {
    if (this.#isClosed) throw new ExecError("disposed", "the file was closed", { hint: "open it again" });
    signal?.throwIfAborted();
    const outcome = await this.#session.callOver(this.#attached, method, params, signal);
    if (outcome.type === "result") return outcome.result;
    if (outcome.type === "refused") throw refusal(method, outcome.error);
    throw new ExecError("disconnected", `${method}: connection was lost, and the open file with it`, {
      hint: "open it again and go on where you were",
    });
  }
}

/** What `call` comes to. A stream that it fails is of no more use, and is told nothing further: so the file is closed. */
async function orClose<T>(handle: FileHandle, call: Promise<T>): Promise<T> {
  try {
    return await call;
  } catch (error) {
    void handle.close().catch(() => {});
    throw error;
  }
}
