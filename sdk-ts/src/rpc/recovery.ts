// One attempt to get a lost session back: another connection, on which every process is caught up before it is used.
//
// Nothing waits for anything that it does not need. On a first attempt the question for the session, `initialized` and what
// gets at what was missed leave together.
//
// What was missed is read page by page. A server that wants to know what is here is told so instead, and pushes what comes
// behind that: nothing comes twice, and of each process it is only asked whether there still is one.

import type { Feed } from "../core/feed.js";
import type { ExecError } from "../errors.js";
import type { ProcessReadResponse } from "../generated/types.js";
import type { Link, Outcome } from "./link.js";
import { lostError, openSession, type Peer } from "./peer.js";
import { askForNothing, askPage, LEAST_PAGE_BYTES, takeAnswer, USUAL_PAGE_BYTES } from "./reading.js";
import type { Router } from "./router.js";
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
    const early: Question[] = [];
    if (together) {
      link.notify("initialized", {});
      for (const feed of behind(router.feeds()).slice(0, AT_ONCE))
        early.push(ask(router, { link, peer: lost }, feed, pageBytes));
    }
    const peer = await opening;
    if (!together) link.notify("initialized", {});
    const attached: Attached = { link, peer };
    // What was answered counts for nothing unless there is a session.
    for (const question of early) {
      if ((await taken(question)) === "lost") throw await ended(link);
      progressed();
    }
    await askAll(router, attached, pageBytes, progressed);
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

/** What was asked about a process. */
interface Question {
  readonly feed: Feed<ExecError>;
  /** Never rejects. */
  readonly answer: Promise<Outcome<ProcessReadResponse>>;
  readonly take: (response: ProcessReadResponse) => void;
}

/** Asks for a page of what a process missed, or has that pushed and asks only whether there still is one. It is sent when this returns. */
function ask(router: Router, attached: Attached, feed: Feed<ExecError>, pageBytes: number): Question {
  const { link, peer } = attached;
  const isPushed =
    peer.environment.capabilities?.outputWindow === true &&
    router.resume(feed, (word) => link.notify("process/ack", word));
  if (isPushed) {
    const answer = askForNothing(attached, feed.id);
    return { feed, answer, take: (response) => feed.resumed(response) };
  }
  const { whole, answer } = askPage(attached, feed.id, feed.beginRead(), pageBytes);
  return { feed, answer, take: (response) => feed.caughtUp(response, whole) };
}

async function taken({ feed, answer, take }: Question): Promise<"done" | "lost"> {
  return takeAnswer(feed, await answer, take);
}

async function askAll(
  router: Router,
  attached: Attached,
  pageBytes: number,
  progressed: () => void,
): Promise<void> {
  const rest = (): Feed<ExecError> | undefined => behind(router.feeds())[0];
  const worker = async (): Promise<void> => {
    for (let feed = rest(); feed !== undefined; feed = rest()) {
      if ((await taken(ask(router, attached, feed, pageBytes))) === "lost") throw await ended(attached.link);
      progressed();
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

async function ended(link: Link): Promise<ExecError> {
  return lostError(await link.ended);
}
