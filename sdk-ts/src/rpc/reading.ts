// Pages of a process's output, read over one connection.

import type { Feed } from "../core/feed.js";
import { ExecError } from "../errors.js";
import type { ProcessReadParams, ProcessReadResponse } from "../generated/types.js";
import type { Outcome } from "./link.js";
import type { Attached } from "./session.js";

/** What costs few round trips: 1 MiB. */
export const USUAL_PAGE_BYTES = 1 << 20;
/** What gets through where hardly anything does: one chunk of our server's, at most. */
export const LEAST_PAGE_BYTES = 64 << 10;

/** An answer to `process/read`. */
export interface Page {
  readonly response: ProcessReadResponse;
  /** It was asked for without a bound. */
  readonly whole: boolean;
}

/** A page that was asked for. */
export interface Asked {
  readonly whole: boolean;
  /** Never rejects. */
  readonly answer: Promise<Outcome<ProcessReadResponse>>;
}

/**
 * Asks for what is behind `after`; the request is sent when this returns.
 *
 * Page by page, so that there is progress however often the connection breaks. Where the server does not say how far it
 * dropped, only an answer without a bound tells an exit from what is gone; it retains little anyway.
 */
export function askPage(
  attached: Attached,
  processId: string,
  afterSeq: number,
  pageBytes = USUAL_PAGE_BYTES,
): Asked {
  const whole = attached.peer.environment.capabilities?.gapAccounting !== true;
  const params: ProcessReadParams = { processId, afterSeq, ...(!whole && { maxBytes: pageBytes }) };
  const answer = new Promise<Outcome<ProcessReadResponse>>((resolve) => {
    attached.link.call("process/read", params, resolve);
  });
  return { whole, answer };
}

/** Behind every event: the largest number that is exact. */
const END = Number.MAX_SAFE_INTEGER;

/** Asks whether there still is such a process: for what is behind every position, so that no output is in the answer. */
export function askForNothing({ link }: Attached, processId: string): Promise<Outcome<ProcessReadResponse>> {
  return new Promise((resolve) => {
    link.call("process/read", { processId, afterSeq: END }, resolve);
  });
}

/** Takes the answer to a read of a feed, by `take` where it is one; the feed's own end is told there. */
export function takeAnswer(
  feed: Feed<ExecError>,
  outcome: Outcome<ProcessReadResponse>,
  take: (response: ProcessReadResponse) => void,
): "done" | "lost" {
  if (outcome.type === "result") take(outcome.result);
  else if (outcome.type === "lost") {
    feed.readLost();
    return "lost";
  } else {
    // It is gone, and nothing else is.
    feed.fail(
      new ExecError("unknownProcess", `process ${feed.id} can't be read any more: ${outcome.error.message}`, {
        code: outcome.error.code,
        hint: "servers forget a process some time after it was closed",
      }),
    );
  }
  return "done";
}

/** Reads one page of what a feed is missing. Never rejects. */
export async function catchUp(
  attached: Attached,
  feed: Feed<ExecError>,
  pageBytes?: number,
): Promise<"done" | "lost"> {
  const { whole, answer } = askPage(attached, feed.id, feed.beginRead(), pageBytes);
  return takeAnswer(feed, await answer, (response) => feed.caughtUp(response, whole));
}
