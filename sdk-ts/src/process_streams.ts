// A process's output as Web streams and as lines.

import { ExecError } from "./errors.js";
import type { ProcessEvent } from "./events.js";
import type { OutputStream } from "./generated/types.js";
import type { FollowOptions } from "./rpc/subscription.js";

type Follow = (options: FollowOptions) => AsyncIterableIterator<ProcessEvent>;

/** The bytes of some streams. Follows the process from the first read on, one chunk ahead of its reader at most. */
export function outputStream(
  follow: Follow,
  wanted: readonly OutputStream[],
): ReadableStream<Uint8Array<ArrayBuffer>> {
  let events: AsyncIterableIterator<ProcessEvent> | undefined;
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        events ??= follow({ onGap: "fail" });
        for (;;) {
          const { done, value: event } = await events.next();
          if (done) return controller.close();
          if (event.type === "output" && wanted.includes(event.stream))
            return controller.enqueue(event.bytes);
        }
      },
      async cancel() {
        await events?.return?.();
      },
    },
    // Nothing is read before somebody reads.
    { highWaterMark: 0 },
  );
}

/** The lines of some streams, each put together on its own. A line of more than `maxChars` is an error. */
export async function* lines(
  events: AsyncIterable<ProcessEvent>,
  wanted: readonly OutputStream[],
  maxChars: number,
): AsyncGenerator<string, void> {
  const rest = new Map(wanted.map((stream) => [stream, { decoder: new TextDecoder(), begun: "" }]));
  for await (const event of events) {
    if (event.type !== "output") continue;
    const stream = rest.get(event.stream);
    if (stream === undefined) continue;
    const [first = "", ...others] = stream.decoder.decode(event.bytes, { stream: true }).split("\n");
    const parts = [stream.begun + first, ...others];
    stream.begun = parts.pop() ?? "";
    for (const part of parts) yield part.endsWith("\r") ? part.slice(0, -1) : part;
    if (stream.begun.length > maxChars) {
      throw new ExecError("outputTooLarge", `a line has more than ${maxChars} characters`, {
        hint: "pass a larger maxChars, or read its bytes instead of its lines",
      });
    }
  }
  for (const { decoder, begun } of rest.values()) {
    const last = begun + decoder.decode();
    if (last !== "") yield last;
  }
}
