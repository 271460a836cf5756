// Streamed HTTP bodies between the connection that carries them and the callers who read them.
//
// Unlike a process's output they can't be read again: a piece that is missing, a caller that is too slow, or a connection
// that is lost ends the body, and says so.

import { decodeBase64 } from "./core/base64.js";
import { ExecError } from "./errors.js";
import type { HttpBodyDeltaNotification } from "./generated/types.js";
import type { Session } from "./rpc/session.js";

/** One body under way. */
export class HttpBody {
  readonly id: string;
  readonly #limitBytes: number;
  readonly #pieces: Uint8Array<ArrayBuffer>[] = [];
  #bytes = 0;
  /** Number of the piece that comes next. */
  #next = 1;
  #end: { readonly error: ExecError | undefined } | undefined;
  #wake: (() => void) | undefined;
  readonly #forget: () => void;

  /** @internal */
  constructor(id: string, limitBytes: number, forget: () => void) {
    this.id = id;
    this.#limitBytes = limitBytes;
    this.#forget = forget;
  }

  /** Takes a piece as it comes in JSON. */
  pushDelta({ seq, deltaBase64, done, error }: HttpBodyDeltaNotification): string | undefined {
    const bytes = typeof deltaBase64 === "string" ? decodeBase64(deltaBase64) : undefined;
    if (bytes === undefined) return "notification http/request/bodyDelta: deltaBase64 is no base64";
    this.push(seq, bytes, done, error ?? undefined);
    return undefined;
  }

  /** Takes a piece. */
  push(seq: number, bytes: Uint8Array<ArrayBuffer>, done: boolean, error?: string): void {
    if (seq < this.#next || this.#end !== undefined) return;
    if (seq > this.#next) {
      this.fail(`piece ${seq} came in place of piece ${this.#next}`);
    } else if (this.#bytes + bytes.length > this.#limitBytes) {
      this.fail(`it was not read fast enough: more than ${this.#limitBytes} bytes were waiting`);
    } else {
      this.#next += 1;
      this.#bytes += bytes.length;
      if (bytes.length > 0) this.#pieces.push(bytes);
      if (error !== undefined) this.fail(error);
      else if (done) this.#finish(undefined);
      this.#wake?.();
    }
  }

  /** Nothing follows, and that is not the end. */
  fail(reason: string): void {
    this.#finish(
      new ExecError("bodyLost", `http body broke off: ${reason}`, { hint: "make the request again" }),
    );
  }

  /** Nobody wants it. */
  close(): void {
    this.#finish(undefined);
    this.#pieces.length = 0;
  }

  /** What is read of it. */
  stream(signal: AbortSignal | undefined): ReadableStream<Uint8Array<ArrayBuffer>> {
    const aborted = (): void => this.#wake?.();
    signal?.addEventListener("abort", aborted);
    const over = (): void => {
      signal?.removeEventListener("abort", aborted);
      this.#forget();
    };
    return new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        pull: async (controller) => {
          for (;;) {
            if (signal?.aborted) {
              over();
              return controller.error(signal.reason);
            }
            const piece = this.#pieces.shift();
            if (piece !== undefined) {
              this.#bytes -= piece.length;
              return controller.enqueue(piece);
            }
            if (this.#end !== undefined) {
              over();
              return this.#end.error === undefined ? controller.close() : controller.error(this.#end.error);
            }
            await new Promise<void>((resolve) => {
              this.#wake = resolve;
            });
            this.#wake = undefined;
          }
        },
        cancel: () => {
          over();
          this.close();
        },
      },
      { highWaterMark: 0 },
    );
  }

  #finish(error: ExecError | undefined): void {
    this.#end ??= { error };
    this.#forget();
    this.#wake?.();
  }
}

/** Every body under way, by the name of its request. */
export class Bodies {
  readonly #open = new Map<string, HttpBody>();
  #lastId = 0;

  constructor(session: Session) {
    session.router.listen("http/request/bodyDelta", (delta) =>
      this.#open.get(delta.requestId)?.pushDelta(delta),
    );
    session.router.listenToBodies(({ requestId, seq, bytes, done }) =>
      this.#open.get(requestId)?.push(seq, bytes, done),
    );
    session.router.onLoss((reason) => {
      for (const body of [...this.#open.values()]) body.fail(`connection was lost: ${reason}`);
    });
  }

  /** The body of a request that is about to be sent: its first piece may come with the answer. */
  open(limitBytes: number): HttpBody {
    const id = `http-${++this.#lastId}`;
    const body = new HttpBody(id, limitBytes, () => this.#open.delete(id));
    this.#open.set(id, body);
    return body;
  }
}
