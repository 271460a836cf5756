// Watches, which live no longer than their connection: they are set again on the next one, and what may have been missed
// in between is told.

import { ExecError, refusal } from "./errors.js";
import type { FsChangeEvent, FsWatchOptions } from "./fs_types.js";
import type { FsChangedNotification } from "./generated/types.js";
import type { Paths } from "./paths.js";
import { Mailbox } from "./rpc/mailbox.js";
import type { Attached, Session } from "./rpc/session.js";

/** Notifications that may wait for their reader; each holds any number of changes of one moment. */
const MAX_WAITING = 1024;

type News =
  | { readonly type: "changed"; readonly notification: FsChangedNotification }
  | { readonly type: "missing" }
  | { readonly type: "lost" };

/** Every watch of a session, by its number. */
class Watches {
  readonly #session: Session;
  readonly #open = new Map<number, Mailbox<News>>();
  #lastId = 0;
  /** Somebody waits for missing paths; a connection has one such watch. */
  isWaiting = false;

  constructor(session: Session) {
    this.#session = session;
    session.router.listen("fs/changed", (notification) => {
      this.#open.get(notification.watchId)?.put({ type: "changed", notification });
      return undefined;
    });
    session.router.listen("fs/missingChanged", ({ watchId }) => {
      this.#open.get(watchId)?.put({ type: "missing" });
      return undefined;
    });
    session.router.onLoss(() => {
      for (const mailbox of this.#open.values()) mailbox.put({ type: "lost" });
    });
  }

  open(): { readonly watchId: number; readonly mailbox: Mailbox<News>; readonly close: () => void } {
    const watchId = ++this.#lastId;
    const mailbox = new Mailbox<News>(MAX_WAITING);
    this.#open.set(watchId, mailbox);
    return { watchId, mailbox, close: () => this.#open.delete(watchId) };
  }

  /** Tells the server, if that is still the same one to tell. */
  unwatch(attached: Attached, watchId: number): void {
    if (this.#session.supports("fsWatch")) attached.link.call("fs/unwatch", { watchId }, () => {});
  }
}

const watches = new WeakMap<Session, Watches>();

function watchesOf(session: Session): Watches {
  const known = watches.get(session) ?? new Watches(session);
  watches.set(session, known);
  return known;
}

/** See `client.fs.watch`. */
export async function* watchChanges(
  session: Session,
  paths: Paths,
  path: string,
  options: FsWatchOptions,
): AsyncGenerator<FsChangeEvent, void> {
  session.demand("fsWatch");
  const { signal, ...rest } = options;
  const all = watchesOf(session);
  let attached: Attached | undefined;
  for (;;) {
    attached = await session.connection(attached, signal);
    const { watchId, mailbox, close } = all.open();
    try {
      const params = { watchId, path: paths.uri(path), ...rest };
      const outcome = await session.callOver(attached, "fs/watch", params, signal);
      if (outcome.type === "refused") throw refusal("fs/watch", outcome.error);
      if (outcome.type === "lost") continue;
      for (let isLost = false; !isLost; ) {
        const { items, hasOverflowed } = await mailbox.take(signal);
        if (hasOverflowed) yield { type: "resync" };
        for (const news of items) {
          if (news.type === "changed") {
            if (news.notification.resync === true) yield { type: "resync" };
            for (const { path, kind } of news.notification.changes) {
              yield { type: "changed", path: paths.native(path), kind };
            }
            if (news.notification.ended === true) return;
          } else isLost = news.type === "lost";
        }
      }
      yield { type: "resync" };
    } finally {
      close();
      all.unwatch(attached, watchId);
    }
  }
}

/** See `client.fs.waitFor`. */
export async function watchMissing(
  session: Session,
  missing: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  session.demand("fsWatchMissing");
  if (missing.length === 0) throw new ExecError("invalidArgument", "there is no path to wait for");
  const all = watchesOf(session);
  if (all.isWaiting) {
    throw new ExecError(
      "invalidArgument",
      "something is waited for already, and a connection waits once at a time",
      {
        hint: "pass all paths in one call, or abort the other one first",
      },
    );
  }
  all.isWaiting = true;
  try {
    await waitForOne(session, all, missing, signal);
  } finally {
    all.isWaiting = false;
  }
}

async function waitForOne(
  session: Session,
  all: Watches,
  missing: readonly string[],
  signal: AbortSignal | undefined,
): Promise<void> {
  let attached: Attached | undefined;
  for (;;) {
    attached = await session.connection(attached, signal);
    const { watchId, mailbox, close } = all.open();
    try {
      const outcome = await session.callOver(attached, "fs/watchMissing", { watchId, missing }, signal);
      if (outcome.type === "refused") throw refusal("fs/watchMissing", outcome.error);
      if (outcome.type === "lost") continue;
      // There is something to see already.
      if (!outcome.result.watching) return;
      const { items } = await mailbox.take(signal);
      if (items.some((news) => news.type === "missing")) return;
    } finally {
      close();
      all.unwatch(attached, watchId);
    }
  }
}
