// One attempt to get a lost session back: another connection, on which every process is caught up before it is used.
//
// Nothing waits for anything that it does not need. On a first attempt the question for the session, `initialized` and the
// reads of what was missed leave together.

import type { Feed } from "../core/feed.js";
import type { ExecError } from "../errors.js";
import type { Link } from "./link.js";
import { lostError, openSession, type Peer } from "./peer.js";
import { type Asked, askPage, catchUp, LEAST_PAGE_BYTES, takePage, USUAL_PAGE_BYTES } from "./reading.js";
import type { Attached, Session } from "./session.js";

/** Processes that are caught up at the same time: each may bring a page. */
const AT_ONCE = 32;

/** How to go about an attempt. */
export interface Approach {
  /** Whether everything is said at once. A server that does not take that may end the connection without a word. */
  readonly together: boolean;
  readonly pageBytes: number;
  /** After an attempt that failed. If it brought nothing, it may have been too much at once. */
  afterFailure(hasProgressed: boolean): Approach;
}

function approach(together: boolean, pageBytes: number): Approach {
  const smaller = Math.max(LEAST_PAGE_BYTES, Math.floor(pageBytes / 4));
  return {
    together,
    pageBytes,
    afterFailure: (hasProgressed) =>
      hasProgressed ? approach(together, pageBytes) : approach(false, smaller),
  };
}

/** How to begin. */
export const FIRST_APPROACH = approach(true, USUAL_PAGE_BYTES);

/** See the head of the file. `progressed` is called when the server has told something new. */
export async function recover(
  session: Session,
  lost: Peer,
  { together, pageBytes }: Approach,
  signal: AbortSignal,
  progressed: () => void,
): Promise<Attached> {
  const { router } = session;
  router.reconnecting();
  const link = await session.dialLink(signal);
  const letGo = (): void => link.abandon();
  signal.addEventListener("abort", letGo, { once: true });
  try {
    const opening = openSession(link, session.config, { type: "lost", peer: lost }, signal);
    const early: Array<{ readonly feed: Feed<ExecError>; readonly asked: Asked }> = [];
    if (together) {
      link.notify("initialized", {});
      for (const feed of behind(router.feeds()).slice(0, AT_ONCE)) {
        early.push({ feed, asked: askPage({ link, peer: lost }, feed.id, feed.beginRead(), pageBytes) });
      }
    }
    const peer = await opening;
    if (!together) link.notify("initialized", {});
    const attached: Attached = { link, peer };
    for (const { feed, asked } of early) {
      if (takePage(feed, asked.whole, await asked.answer) === "lost") throw await ended(link);
      progressed();
    }
    await catchUpAll(attached, () => behind(router.feeds()), pageBytes, progressed);
    if (link.isOver) throw await ended(link);
    return attached;
  } catch (error) {
    link.abandon();
    signal.throwIfAborted();
    throw error;
  } finally {
    signal.removeEventListener("abort", letGo);
  }
}

function behind(feeds: readonly Feed<ExecError>[]): Feed<ExecError>[] {
  return feeds.filter((feed) => feed.isBehind && !feed.isReading);
}

async function catchUpAll(
  attached: Attached,
  rest: () => Feed<ExecError>[],
  pageBytes: number,
  progressed: () => void,
): Promise<void> {
  const worker = async (): Promise<void> => {
    for (let feed = rest()[0]; feed !== undefined; feed = rest()[0]) {
      if ((await catchUp(attached, feed, pageBytes)) === "lost") throw await ended(attached.link);
      progressed();
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

async function ended(link: Link): Promise<ExecError> {
  return lostError(await link.ended);
}
